-- Accounts, sessions, access, audit and events: what every later migration builds on.

create table users (
  id uuid primary key,
  username text not null,
  username_key text not null constraint users__username_unique unique,
  email text not null,
  email_key text not null constraint users__email_unique unique,
  email_verified_at timestamptz,
  phone_number text constraint users__phone_unique unique,
  phone_verified_at timestamptz,
  full_name text,
  first_name text,
  last_name text,
  is_active boolean not null default true,
  mfa_enabled boolean not null default false,
  subscription_tier text not null default 'free',
  subscription_since timestamptz,
  subscription_expires_at timestamptz,
  current_title text,
  location text,
  avatar_url text,
  locale text,
  timezone text,
  created_at timestamptz not null,
  updated_at timestamptz,
  updated_by uuid,
  last_username_updated timestamptz,
  deleted_at timestamptz,
  is_demo boolean not null default false,
  constraint users__full_name_length check (char_length(full_name) <= 150),
  constraint users__first_name_length check (char_length(first_name) <= 75),
  constraint users__last_name_length check (char_length(last_name) <= 75),
  constraint users__email_length check (char_length(email) <= 254),
  constraint users__username_length check (char_length(username) between 3 and 30),
  constraint users__deleted_is_inactive check (deleted_at is null or not is_active)
);
comment on column users.username_key is 'Compared form: NFKC, lower case';
comment on column users.email_key is 'Compared form: local part in NFKC and lower case, domain in punycode';

-- Apart from users: no query for a user can hand out a hash by accident.
create table user_credentials (
  user_id uuid primary key references users on delete cascade,
  password_hash text not null,
  password_version integer not null default 1,
  password_changed_at timestamptz
);
comment on column user_credentials.password_version is 'Grows with each change or reset, not with a rehash';

-- Apart from users: a login rewrites a row of 40 bytes, in place (no indexed column, room left on the page).
create table user_activity (
  user_id uuid primary key references users on delete cascade,
  last_login_at timestamptz,
  last_activity_at timestamptz,
  login_count integer not null default 0
) with (fillfactor = 70);

create table roles (
  name text primary key,
  description text not null,
  permissions text[] not null,
  is_system boolean not null,
  requires_mfa boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz,
  constraint roles__name_form check (name ~ '^[a-z][a-z0-9_-]{1,49}$')
);

insert into roles (name, description, permissions, is_system, requires_mfa) values
  ('admin', 'Everything', '{*}', true, true),
  ('user', 'Their own data', '{}', true, false),
  ('support', 'Reads users, unlocks, resets and signs out', '{users:read,users:update}', false, false),
  ('auditor', 'Reads the audit log and users', '{users:read,audit:read}', false, false);

-- What is held beyond `user`, which everybody holds: no row is written for it, and none has to be read.
create table user_roles (
  user_id uuid not null references users on delete cascade,
  role_name text not null references roles on delete restrict,
  granted_at timestamptz not null,
  granted_by uuid,
  primary key (user_id, role_name),
  constraint user_roles__not_default check (role_name <> 'user')
);
create index user_roles__role on user_roles (role_name, user_id);

create table sessions (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_reason text,
  ip inet,
  user_agent text,
  assurance_level text not null constraint sessions__assurance_level check (assurance_level in ('aal1', 'aal2')),
  authentication_methods text[] not null,
  authenticated_at timestamptz not null,
  refresh_generation integer not null default 0,
  refresh_hash bytea not null,
  refresh_rotations timestamptz[] not null default '{}'
) with (fillfactor = 80);
comment on column sessions.refresh_hash is 'SHA-256 of the one refresh token that is valid now';
comment on column sessions.refresh_rotations is 'When the latest generations were replaced, newest last, for the grace period';
-- No index on expires_at or last_used_at: each refresh would have to write to it.
create index sessions__user on sessions (user_id) where revoked_at is null;

create table signing_keys (
  kid text primary key,
  algorithm text not null,
  public_jwk jsonb not null,
  private_key_sealed bytea not null,
  created_at timestamptz not null,
  signs_from timestamptz not null
);

create table setup_codes (
  only_row boolean primary key default true check (only_row),
  nonce bytea not null,
  created_at timestamptz not null
);

create table audit_log (
  id uuid primary key,
  occurred_at timestamptz not null,
  action text not null,
  outcome text not null constraint audit_log__outcome check (outcome in ('success', 'failure', 'denied')),
  actor_type text not null constraint audit_log__actor_type check (actor_type in ('user', 'anonymous', 'operator', 'system')),
  actor_id uuid,
  subject_type text,
  subject_id text,
  session_id uuid,
  request_id text,
  changed_fields text[] not null default '{}',
  details jsonb not null default '{}'
);
create index audit_log__subject on audit_log (subject_id, id desc) where subject_id is not null;

-- Who it was, beside the record of what was done: erasing a person empties this and leaves the log whole.
create table audit_personal (
  audit_id uuid primary key references audit_log on delete cascade,
  ip inet,
  user_agent text
);

create table events (
  id uuid primary key,
  type text not null,
  user_id uuid,
  data jsonb not null,
  occurred_at timestamptz not null,
  transaction_id xid8 not null default pg_current_xact_id(),
  sequence bigint constraint events__sequence_unique unique
);
comment on column events.sequence is 'Given after the commit, by one process at a time: a reader that has seen n has seen all below n';
create index events__unsequenced on events (id) where sequence is null;
