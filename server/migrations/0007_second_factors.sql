-- Second factors, passkeys, sign-ins under way, and the limits on failed attempts.

create table second_factors (
  user_id uuid not null references users on delete cascade,
  method text not null constraint second_factors__method check (method in ('totp', 'sms', 'email')),
  secret_sealed bytea,
  phone_number text,
  created_at timestamptz not null,
  confirmed_at timestamptz,
  last_used_at timestamptz,
  last_step bigint not null default 0,
  primary key (user_id, method),
  constraint second_factors__totp_has_secret check ((method = 'totp') = (secret_sealed is not null)),
  constraint second_factors__sms_has_number check ((method = 'sms') = (phone_number is not null))
) with (fillfactor = 80);
comment on column second_factors.confirmed_at is 'Until then it is being set up, and counts for nothing';
comment on column second_factors.last_step is 'TOTP: the latest time step whose code was accepted. No code of it or of an earlier one is taken again';

-- Deleted when used.
create table recovery_codes (
  user_id uuid not null references users on delete cascade,
  code_hash bytea not null,
  created_at timestamptz not null,
  primary key (user_id, code_hash)
);

create table passkeys (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  credential_id bytea not null constraint passkeys__credential_unique unique,
  public_key bytea not null,
  counter bigint not null,
  transports text[] not null,
  is_synced boolean not null,
  name text not null,
  created_at timestamptz not null,
  last_used_at timestamptz,
  constraint passkeys__name_length check (char_length(name) between 1 and 100)
) with (fillfactor = 80);
create index passkeys__user on passkeys (user_id);

-- A challenge that an authenticator is to sign. Deleted when it comes back, whatever became of it.
create table passkey_challenges (
  challenge_hash bytea primary key,
  purpose text not null,
  user_id uuid references users on delete cascade,
  expires_at timestamptz not null
);
create index passkey_challenges__user on passkey_challenges (user_id) where user_id is not null;

-- Sign-ins between the first factor and the second: what an mfa_token stands for.
create table sign_ins (
  token_hash bytea primary key,
  user_id uuid not null references users on delete cascade,
  proved text[] not null,
  password_version integer,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index sign_ins__user on sign_ins (user_id);
comment on column sign_ins.password_version is 'Of the password that was proved; a change of it ends the sign-in. Null where none was';

-- Failed attempts in a row, of one factor of one account or of one client address. Nothing is indexed but the
-- key, so every count is written in place.
create table attempt_limits (
  key bytea primary key,
  failures real not null default 0,
  reserved smallint not null default 0,
  reserved_at timestamptz not null,
  failed_at timestamptz,
  blocked_until timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on column attempt_limits.key is 'User id and factor; for names that are nobody''s, and for addresses, an HMAC';
comment on column attempt_limits.failures is 'In a row. Those of an address seep away with time, hence the fractions';
comment on column attempt_limits.reserved is 'Attempts being judged at this moment: taken before, given back after';

alter table sessions add column second_factor_at timestamptz;
comment on column sessions.second_factor_at is 'When a second factor, or a passkey with user verification, was last proved';

-- Sealed under ENCRYPTION_KEY, so that another can take its place.
create table encryption_keys (
  id integer generated always as identity primary key,
  purpose text not null constraint encryption_keys__purpose check (purpose in ('root', 'data')),
  key_sealed bytea not null,
  created_at timestamptz not null
);
create unique index encryption_keys__one_root on encryption_keys (purpose) where purpose = 'root';
comment on column encryption_keys.purpose is
  'root: all other keys are derived from it, so it stays. data: the newest seals, older ones open what they sealed';
