-- One-time codes and links, the quotas of the addresses they go to, names held for their old owners, devices.

-- Deleted when used, so that a row is a right to use it once.
create table verifications (
  id uuid primary key,
  kind text not null constraint verifications__kind check (kind in ('code', 'link')),
  purpose text not null,
  user_id uuid not null references users on delete cascade,
  target text not null,
  secret_hash bytea not null,
  tries_left smallint not null,
  data jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 90);
comment on column verifications.secret_hash is 'Codes: HMAC-SHA256 under a key that is not in the database. Links: SHA-256';
comment on column verifications.target is 'What was to be proved, and must still be so when it is used: an address, mostly';
create unique index verifications__one_code on verifications (user_id, purpose) where kind = 'code';
create unique index verifications__link on verifications (secret_hash) where kind = 'link';
create index verifications__user on verifications (user_id);
create index verifications__expiry on verifications (expires_at);

-- One row per address, whatever is sent there and why. Nothing here is indexed but the key: updates stay in place.
create table code_quotas (
  address_hash bytea primary key,
  sent timestamptz[] not null default '{}',
  failures smallint not null default 0,
  failed_at timestamptz,
  blocked_until timestamptz,
  touched_at timestamptz not null
) with (fillfactor = 60);
comment on column code_quotas.address_hash is 'HMAC-SHA256 of the address: counting needs no address';
comment on column code_quotas.sent is 'When codes and links went there in the last 24 hours, oldest first';

-- What one user gave up and nobody else may take yet.
create table name_holds (
  kind text not null constraint name_holds__kind check (kind in ('username', 'email')),
  name_key text not null,
  user_id uuid not null references users on delete cascade,
  held_until timestamptz not null,
  primary key (kind, name_key)
);
create index name_holds__user on name_holds (user_id);

create table known_devices (
  user_id uuid not null references users on delete cascade,
  device_hash bytea not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  primary key (user_id, device_hash)
) with (fillfactor = 80);
