import { searchForm } from '@roster/server/src/modules/users/search/terms.ts'
import pg from 'pg'

/*
 * People as a service has them: few first names shared by many, some cities and skills far more common than others,
 * a profile and twenty values each. Written straight into the tables, as the service itself would have left them.
 */

const firstNames =
  'Anna Maria Paul Lukas Sophie Emma David Jonas Lena Felix Laura Jakob Julia Noah Clara Elias Nina Simon Eva Max ' +
  'Sarah Tobias Lisa Daniel Hannah Oliver Mia Peter Katharina Thomas Alice Bob Carlos Diego Fatima Giulia Hiroshi ' +
  'Ingrid Jamal Kenji Leila Mateo Nadia Omar Priya Quentin Rosa Samir Tamara Ulrich Vera Walter Xenia Yusuf Zoe'
const syllables =
  'ber stein mann hof er wald bach lin son sen ov ski ez mar tin gar cia sch mid wei ss fi scher bau'
const cities =
  'Vienna London Berlin Paris Madrid Rome Graz Linz Salzburg Munich Hamburg Zurich Basel Prague Brno Warsaw Krakow ' +
  'Budapest Lisbon Porto Dublin Cork Oslo Bergen Stockholm Uppsala Helsinki Tampere Athens Sofia Zagreb Split'
const titles =
  'Engineer Nurse Teacher Designer Architect Lawyer Analyst Manager Consultant Electrician Chemist Driver'
const levels = 'Junior Senior Lead Chief Software Data Site Product Staff Field'
const skills =
  'typescript postgresql python java go rust react kubernetes docker sql excel drawing welding piano latin c++ c# ' +
  'kotlin swift scala haskell erlang php ruby perl bash terraform ansible jira figma photoshop autocad matlab'

const list = (words: string): string[] => words.split(/\s+/)

export const names = list(firstNames)
export const places = list(cities)
export const abilities = list(skills)
export const jobs = list(titles)

/** One of an array's elements, the first far more often than the last (about as Zipf's law has it). */
const zipf = (array: string): string =>
  `(${array})[1 + least(floor(array_length(${array}, 1) * power(random(), 2.5)), array_length(${array}, 1) - 1)::int]`

/** Users from number `from` to `to`, with profile, search row and settings. */
async function insertBatch(client: pg.ClientBase, from: number, to: number): Promise<void> {
  await client.query(
    `with made as materialized (
       select n, gen_random_uuid() as seed, ${zipf('$3::text[]')} as first,
         initcap(${zipf('$4::text[]')} || ${zipf('$4::text[]')} || ${zipf('$4::text[]')}) as last,
         ${zipf('$5::text[]')} as city, ${zipf('$6::text[]')} || ' ' || ${zipf('$7::text[]')} as title,
         array(select distinct ${zipf('$8::text[]')} from generate_series(1, 4 + n % 2)) as skills
       from generate_series($1::int, $2::int) as n
     ), numbered as materialized (
       select *, left(lower(first || '.' || last), 24) || n as username,
         (substr(lpad(to_hex(1700000000000 + n), 12, '0'), 1, 8) || '-' ||
          substr(lpad(to_hex(1700000000000 + n), 12, '0'), 9, 4) || '-7' || substr(seed::text, 16))::uuid as id
       from made
     ), users_made as (
       insert into users (id, username, username_key, email, email_key, full_name, current_title, location, created_at)
       select id, username, username, username || '@example.com', username || '@example.com', first || ' ' || last,
         title, city, to_timestamp((1700000000000 + n) / 1000.0)
       from numbered
     ), activity_made as (
       insert into user_activity (user_id) select id from numbered
     ), profiles_made as (
       insert into user_profiles (user_id, headline, skills, city, country)
       select id, title, skills, city, 'Europe' from numbered
     ), search_made as (
       insert into user_search (user_id, is_visible, names, title, location, skills, form)
       select id, true, ' ' || lower(first) || ' ' || lower(last || n) || ' ' || lower(last),
         ' ' || lower(title), ' ' || lower(city) || ' europe', skills, ${searchForm}
       from numbered order by n
     )
     insert into user_settings (user_id, scope, value_by_key, version, updated_at)
     select id, scope, case scope when 'setting' then jsonb_build_object(
         'ui.theme', 'dark', 'ui.density', 'compact', 'ui.font_scale', 1 + (n % 10) / 10.0,
         'ui.accent_color', '#1f6feb', 'ui.reduced_motion', n % 2 = 0, 'ui.first_day_of_week', 'sunday',
         'notifications.email', true, 'notifications.digest', 'daily', 'notifications.sms', false,
         'privacy.usage_statistics', n % 3 = 0)
       else jsonb_build_object(
         'job.types', jsonb_build_array('full_time'), 'job.titles', jsonb_build_array(title),
         'job.locations', jsonb_build_array(city), 'job.remote', 'hybrid', 'job.salary_min', 30000 + n % 40000,
         'job.salary_max', 90000 + n % 50000, 'job.industries', jsonb_build_array('software'),
         'job.experience_level', 'senior', 'job.company_size', jsonb_build_array('11-50'),
         'job.open_to_relocation', n % 5 = 0) end, 1, now()
     from numbered, (values ('setting'), ('preference')) as scopes (scope)`,
    [from, to, names, list(syllables), places, list(levels), jobs, abilities],
  )
}

const batchSize = 20_000

/** Fills the tables up to `count` people. The search index is made anew afterwards, which is faster. */
export async function seedPeople(url: string, count: number, print: (line: string) => void): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select count(*)::int as n from users where email like '%@example.com'`,
    )
    const present = Number(rows[0]?.n ?? 0)
    if (present >= count) return
    const began = performance.now()
    const { rows: indexes } = await client.query(
      `select pg_get_indexdef('user_search__keys'::regclass) as definition`,
    )
    await client.query('drop index user_search__keys')
    for (let from = present + 1; from <= count; from += batchSize) {
      await insertBatch(client, from, Math.min(count, from + batchSize - 1))
    }
    const written = performance.now()
    await client.query(`set maintenance_work_mem = '512MB'`)
    await client.query(String(indexes[0]?.definition))
    const indexed = performance.now()
    await client.query('vacuum analyze')
    print(
      `${count} people: rows ${seconds(written - began)}, search index ${seconds(indexed - written)}, ` +
        `statistics ${seconds(performance.now() - indexed)}`,
    )
  } finally {
    await client.end()
  }
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`
