-- An address may be proved by its owner while somebody else holds the account: whether it was, until the owner
-- chooses a password by mail. A passkey from before needs that password as well.
alter table users add column proved_apart boolean not null default false;
alter table passkeys add column is_doubted boolean not null default false;
