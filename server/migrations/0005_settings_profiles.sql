-- Profiles, search over them, and settings: definitions, values, dry-runs.

-- Apart from users: it is wide, few read it, and a sign-in never does.
create table user_profiles (
  user_id uuid primary key references users on delete cascade,
  bio text,
  headline text,
  company text,
  website_url text,
  linkedin_url text,
  github_url text,
  skills text[] not null default '{}',
  languages text[] not null default '{}',
  years_of_experience smallint,
  education jsonb not null default '[]',
  experience jsonb not null default '[]',
  city text,
  country text,
  visibility text not null default 'members'
    constraint user_profiles__visibility check (visibility in ('public', 'members', 'private')),
  is_searchable boolean not null default true,
  hidden_fields text[] not null default '{}'
);
comment on column user_profiles.is_searchable is 'From the owner''s privacy settings, so that a search need not ask for them';
comment on column user_profiles.hidden_fields is 'The same: public fields that nobody but the owner and administrators sees';

-- What search looks at, and nothing else: a row of a user who is not to be found holds empty texts, so that
-- no filter, order or duration can tell of what it hides.
create table user_search (
  user_id uuid primary key references users on delete cascade,
  position bigint generated always as identity,
  is_visible boolean not null default false,
  names text not null default '',
  title text not null default '',
  location text not null default '',
  skills text[] not null default '{}',
  form smallint not null default 0
) with (fillfactor = 90);
comment on column user_search.position is 'Results come newest first: in falling order of it';
comment on column user_search.names is 'Username and full name in folded form, a space before each word';
comment on column user_search.form is 'Which version of the code folded the texts; older ones are folded again';
create index user_search__newest on user_search (position) where is_visible;
create index user_search__outdated on user_search (form) where form < 1;

-- The keys under which a row is found. n: the first 1 to 8 letters of a word of the names; i: two or three
-- letters anywhere in one; t and l: the first 1 to 8 letters of a word of title and location; s: a skill.
-- Each is tagged with its block of 16,384 positions: one look-up costs what its block holds, however many
-- users there are, and blocks are read newest first until the page is full.
create function user_search_keys(names text, title text, location text, skills text[], block bigint)
returns text[] language sql immutable parallel safe cost 10000 as $$
  select array_agg(block || key) from (
    select ':n:' || left(word, size) as key
    from unnest(string_to_array(names, ' ')) as word, generate_series(1, least(length(word), 8)) as size
    union
    select ':i:' || substr(word, at, size)
    from unnest(string_to_array(names, ' ')) as word, generate_series(2, 3) as size,
      generate_series(1, length(word) - size + 1) as at
    union
    select ':t:' || left(word, size)
    from unnest(string_to_array(title, ' ')) as word, generate_series(1, least(length(word), 8)) as size
    union
    select ':l:' || left(word, size)
    from unnest(string_to_array(location, ' ')) as word, generate_series(1, least(length(word), 8)) as size
    union
    select ':s:' || skill from unnest(skills) as skill
  ) as keys
$$;
-- Without the pending list: a search would have to read all of it.
create index user_search__keys on user_search
  using gin (user_search_keys(names, title, location, skills, position >> 14)) with (fastupdate = off)
  where is_visible;

insert into user_search (user_id) select id from users order by id;

create index users__subscription_ends on users (subscription_expires_at)
  where subscription_tier = 'premium' and subscription_expires_at is not null;

create table setting_definitions (
  key text primary key,
  scope text not null constraint setting_definitions__scope check (scope in ('preference', 'setting')),
  category text not null,
  setting_type text not null,
  description text not null,
  default_value jsonb not null,
  validation_rules jsonb not null,
  cross_rules jsonb not null,
  is_public boolean not null,
  is_readonly boolean not null,
  sort_order integer not null,
  deprecated boolean not null,
  version integer not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  updated_by uuid,
  shipped jsonb,
  removed_at timestamptz,
  pending jsonb,
  pending_until timestamptz
);
comment on column setting_definitions.default_value is 'JSON null: none';
comment on column setting_definitions.shipped is 'As it came with the service: a field that still equals it follows the next version';
comment on column setting_definitions.removed_at is 'A shipped definition that an administrator removed stays removed';
comment on column setting_definitions.pending is
  'What it is about to become. New values must satisfy both, while those that are stored are looked through';

create table setting_definition_versions (
  key text not null,
  version integer not null,
  definition jsonb not null,
  changed_at timestamptz not null,
  changed_by uuid,
  primary key (key, version)
);

-- One row: what all processes compare their compiled definitions with.
create table setting_registry (
  only_row boolean primary key default true constraint setting_registry__one check (only_row),
  version bigint not null,
  shipped_digest text
);
insert into setting_registry (version) values (0);

-- All values of a user in one scope are one row: read at once, written at once, in place. A scan of one key
-- goes along the primary key in short batches and takes no lock.
create table user_settings (
  user_id uuid not null references users on delete cascade,
  scope text not null,
  value_by_key jsonb not null,
  version integer not null,
  updated_at timestamptz not null,
  primary key (user_id, scope)
) with (fillfactor = 85);

create table setting_dry_runs (
  id uuid primary key,
  key text not null,
  candidate jsonb not null,
  status text not null constraint setting_dry_runs__status check (status in ('running', 'done', 'failed')),
  checked bigint not null default 0,
  total bigint not null,
  invalid bigint not null default 0,
  samples jsonb not null default '[]',
  started_at timestamptz not null,
  started_by uuid,
  updated_at timestamptz not null,
  finished_at timestamptz
);
