-- The way of events out of the outbox: sequence numbers, publishing to the broker, webhooks.

-- Numbers are given after the commit, by one process at a time, so no reader can pass a row that commits late,
-- and no transaction's id has to be compared with others': a long one holds nobody up.
drop index events__unsequenced;
alter table events
  drop column transaction_id,
  add column position bigint generated always as identity,
  add column partition smallint;
comment on column events.position is
  'Order of writing. A change of a user locks their row first, so for one user it is the order of commits, which ids made from a clock are not';
comment on column events.sequence is
  'Given after the commit, by one process at a time, without gaps: a reader that has seen n has seen all below n';
comment on column events.partition is
  'Given with the sequence, from the user: one process at a time publishes a partition';
create index events__unsequenced on events (position) where sequence is null;
create index events__user on events (user_id) where user_id is not null;
-- Every row is written twice, so what the first left must go soon: the sequencer reads the index above.
alter table events set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

create table event_head (
  only_row boolean primary key default true check (only_row),
  sequence bigint not null
) with (fillfactor = 10);
insert into event_head (sequence) select coalesce(max(sequence), 0) from events;
comment on column event_head.sequence is 'The last number given; events may be deleted, the count goes on';

create table event_partitions (
  partition smallint primary key,
  published bigint not null default 0
) with (fillfactor = 10);
insert into event_partitions (partition) select generate_series(0, 7);
comment on column event_partitions.published is 'The broker has confirmed every event of the partition up to this sequence';

create table webhook_endpoints (
  id uuid primary key,
  url text not null,
  description text not null,
  event_types text[] not null,
  is_active boolean not null default true,
  secret_sealed bytea not null,
  previous_secret_sealed bytea,
  previous_secret_expires_at timestamptz,
  fanned_out bigint not null,
  failures integer not null default 0,
  paused_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz
) with (fillfactor = 50);
comment on column webhook_endpoints.fanned_out is 'Deliveries exist for the events up to this sequence';
comment on column webhook_endpoints.failures is 'Failed deliveries in a row';

create table webhook_deliveries (
  id uuid primary key,
  endpoint_id uuid not null references webhook_endpoints on delete cascade,
  event_id uuid not null,
  event_type text not null,
  sequence bigint not null,
  user_id uuid,
  state text not null constraint webhook_deliveries__state check (state in ('pending', 'delivered', 'dead')),
  attempts smallint not null default 0,
  next_attempt_at timestamptz,
  give_up_at timestamptz not null,
  last_status smallint,
  last_error text,
  last_duration_ms integer,
  created_at timestamptz not null,
  finished_at timestamptz,
  constraint webhook_deliveries__once unique (endpoint_id, event_id)
) with (fillfactor = 80);
comment on column webhook_deliveries.next_attempt_at is
  'When it is due. Whoever takes it moves this ahead: after a kill it comes due again by itself';
create index webhook_deliveries__due on webhook_deliveries (endpoint_id, next_attempt_at) where state = 'pending';
create index webhook_deliveries__order on webhook_deliveries (endpoint_id, user_id, sequence) where state = 'pending';
create index webhook_deliveries__log on webhook_deliveries (endpoint_id, id desc);
create index webhook_deliveries__finished on webhook_deliveries (finished_at) where finished_at is not null;
