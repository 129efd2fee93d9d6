-- Mail and text messages: the queue, what became of each, and the mailbox of development.

create table messages (
  id uuid primary key,
  channel text not null constraint messages__channel check (channel in ('email', 'sms')),
  template text not null,
  recipient text not null,
  user_id uuid,
  locale text,
  timezone text,
  state text not null constraint messages__state check (state in ('queued', 'sent', 'dead', 'suppressed')),
  attempts smallint not null default 0,
  created_at timestamptz not null,
  next_attempt_at timestamptz,
  useful_until timestamptz not null,
  finished_at timestamptz,
  provider text,
  provider_id text,
  provider_status text,
  last_error text,
  content bytea,
  constraint messages__queued_has_content check (state <> 'queued' or content is not null and next_attempt_at is not null)
);
comment on column messages.content is 'Template data, sealed. Dropped once the message is sent; the mailbox keeps it';
comment on column messages.next_attempt_at is 'While an attempt runs: when it counts as lost and another may begin';
comment on column messages.useful_until is 'After this nobody can use the message, a code in it for example, so it is not sent any more';

create index messages__waiting on messages (next_attempt_at) where state = 'queued';
create index messages__dead on messages (id) where state = 'dead';
create index messages__user on messages (user_id) where user_id is not null;
create index messages__recipient on messages (lower(recipient));

-- Keyed hashes: the list must outlive the people on it, and so must not name them.
create table sms_opt_outs (
  number_hash bytea primary key,
  opted_out_at timestamptz not null
);
