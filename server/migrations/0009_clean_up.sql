-- Clean-up takes the oldest rows first, some thousands a statement: where it has no index it reads all of them each time.

create index sign_ins__expiry on sign_ins (expires_at);
create index passkey_challenges__expiry on passkey_challenges (expires_at);
create index name_holds__expiry on name_holds (held_until);

-- Of ended sessions only: a refresh changes none of its columns, and so still updates its row within a page.
create index sessions__revoked on sessions (revoked_at) where revoked_at is not null;
