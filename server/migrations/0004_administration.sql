-- Lists of users and of the audit log by index alone, and an audit log that can prove itself.

-- Keys are compared byte by byte: an index serves prefixes too, and gives one order on every machine, whatever
-- collation the database was made with.
alter table users
  alter column username_key type text collate "C",
  alter column email_key type text collate "C",
  alter column phone_number type text collate "C";

-- Ids are UUIDv7, so their order is that of registration: no index on created_at is needed beside them.
create index users__inactive on users (id) where not is_active;
create index users__deleted on users (id) where deleted_at is not null;
create index users__premium on users (id) where subscription_tier = 'premium';
create index users__full_name on users (lower(full_name) collate "C", id) where full_name is not null;
-- Who never logged in comes before all others. Costs a login, which is rare, one index entry; activity, which is
-- frequent, still rewrites its row in place.
create index user_activity__last_login on user_activity (coalesce(last_login_at, '-infinity'), user_id);

create index audit_log__actor on audit_log (actor_id, id desc) where actor_id is not null;
create index audit_log__action on audit_log (action, id desc);
create index audit_log__not_success on audit_log (outcome, id desc) where outcome <> 'success';

-- Binds the row to what is known of the person, without saying it: the salt goes when the person is erased.
alter table audit_log add column personal_digest bytea;
alter table audit_personal add column salt bytea;
comment on column audit_log.personal_digest is 'SHA-256 over salt, address and device of audit_personal';

-- What waits to be sealed: filled by the writer's own statement, so a row is here from the commit of its
-- transaction on, however late that comes, and no writer waits for another. A marker in audit_log would have to
-- be updated; a watermark over transaction ids does not survive a dump and restore.
create table audit_unsealed (
  audit_id uuid not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
insert into audit_unsealed (audit_id) select id from audit_log order by id;

create table audit_seals (
  sequence bigint primary key,
  sealed_at timestamptz not null,
  entries bytea not null,
  mac bytea not null
);
comment on column audit_seals.entries is 'For each row: its id (16 bytes) and the MAC of its content (16 bytes)';
comment on column audit_seals.mac is 'HMAC-SHA256 over sequence, time, entries and the mac of the seal before';
alter table audit_seals alter column entries set storage external;

-- Append-only, also for the owner of the tables. `always`: session_replication_role does not switch it off.
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log__append_only before update or delete or truncate on audit_log
  for each statement execute function refuse_audit_change();
create trigger audit_seals__append_only before update or delete or truncate on audit_seals
  for each statement execute function refuse_audit_change();
-- Deleting is erasure.
create trigger audit_personal__append_only before update or truncate on audit_personal
  for each statement execute function refuse_audit_change();
alter table audit_log enable always trigger audit_log__append_only;
alter table audit_seals enable always trigger audit_seals__append_only;
alter table audit_personal enable always trigger audit_personal__append_only;

-- For people who look at the data in psql: one row a user under the names of the other dialect that
-- the API speaks, without the password's hash.
create type roletype as enum ('admin', 'user');
create view "user" as
  select id, username, email, first_name, last_name, phone_number,
    case when exists (select from user_roles r where r.user_id = users.id and r.role_name = 'admin')
      then 'admin' else 'user' end::roletype as role,
    is_active, created_at, updated_at, deleted_at
  from users;
