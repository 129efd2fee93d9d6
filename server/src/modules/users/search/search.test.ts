import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../../testing/harness.ts'
import { lockOutdated } from './repo.ts'
import { refreshOutdated } from './search.ts'
import { searchForm } from './terms.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()

async function person(
  username: string,
  full_name: string,
  more: { title?: string; location?: string; profile?: Record<string, unknown> } = {},
): Promise<SignedUp> {
  const user = await roster.signUp({ username, full_name })
  const record = { current_title: more.title ?? null, location: more.location ?? null }
  await roster.put('/api/v1/users/me', record, { token: user.token })
  if (more.profile) await roster.put('/api/v1/users/me/profile', more.profile, { token: user.token })
  return user
}

async function find(query: string, as = admin.token): Promise<string[]> {
  const { status, body } = await roster.get(`/api/v1/users/search?${query}`, { token: as })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body.items.map(({ username }: { username: string }) => username)
}

await person('anna.m', 'Anna Müller', {
  title: 'Software Engineer',
  location: 'Vienna, Austria',
  profile: { skills: ['TypeScript', 'C++'] },
})
await person('susanna', 'Susanna Weiß', { title: 'Data Engineer', location: 'San Francisco, CA' })
await person('bo-x', 'Bo Xu', {
  title: 'Nurse',
  profile: { city: 'Vienna', country: 'Austria', skills: ['typescript'] },
})
await person('jo_hanna', 'Jo Smith')

describe('a search', () => {
  test.each([
    [
      'q=anna',
      ['anna.m', 'jo_hanna', 'susanna'],
      'where a word begins first, then where it is inside, newest first',
    ],
    ['q=ANNA%20mull', ['anna.m'], 'without case and accents, every word'],
    ['q=weiss', ['susanna'], 'ß is ss'],
    ['q=x', ['bo-x'], 'one letter, where a word begins'],
    ['q=nn', ['jo_hanna', 'susanna', 'anna.m'], 'two letters, inside'],
    ['q=jo_hanna', ['jo_hanna'], 'a username, whatever stands between its words'],
    ['location=vienna', ['bo-x', 'anna.m'], 'location, or city'],
    ['location=san%20fran', ['susanna'], 'beginnings of words'],
    ['title=engineer', ['susanna', 'anna.m'], 'title'],
    ['skills=TYPESCRIPT', ['bo-x', 'anna.m'], 'a skill, whatever its case'],
    ['skills=typescript,c%2B%2B', ['anna.m'], 'every skill'],
    ['skills=typescript,%20,C%2B%2B,', ['anna.m'], 'without what is blank between commas'],
    ['skills=typescript&skills=C%2B%2B', ['anna.m'], 'the same, repeated'],
    ['skills=type', [], 'whole skills alone'],
    ['q=anna&title=engineer&location=austria&skills=c%2B%2B', ['anna.m'], 'all together'],
    ['q=%25', [], 'nothing for what has no letters'],
    ['q=_', [], 'the same'],
    ["q=';drop%20table", [], 'text is only text'],
    ['q=zzz', [], 'nobody'],
  ])('%s finds %j: %s', async (query, expected) => {
    const found = await find(query)
    const those = new Set(['anna.m', 'susanna', 'bo-x', 'jo_hanna'])
    expect(found.filter(name => those.has(name))).toEqual(
      query.startsWith('q=anna') && expected.length === 3 ? ['anna.m', 'jo_hanna', 'susanna'] : expected,
    )
  })

  test('takes every Σ as one letter, wherever in a word it stands', async () => {
    await person('odysseas', 'Οδυσσέας')
    for (const q of ['ΟΔΥΣ', 'ΟΔΥΣΣ', 'οδυσσεας', 'ΟΔΥΣΣΈΑΣ', 'οδυσσεασ']) {
      expect(await find(`q=${encodeURIComponent(q)}`), q).toEqual(['odysseas'])
    }
  })

  test('gives the public view, and nothing else', async () => {
    const { body } = await roster.get('/api/v1/users/search?q=anna.m', { token: admin.token })
    expect(Object.keys(body.items[0]).sort()).toEqual(
      [
        'avatar_url',
        'created_at',
        'current_title',
        'full_name',
        'id',
        'location',
        'profile',
        'username',
      ].sort(),
    )
    expect(Object.keys(body)).toEqual(['items', 'next_cursor'])
  })

  test('goes page by page through everybody once, across stages', async () => {
    for (let n = 0; n < 12; n += 1) await person(`pager${n}`, n % 2 ? `Quinn Doe ${n}` : `Mc Xquinn ${n}`)
    const seen: string[] = []
    let cursor = ''
    do {
      const { body } = await roster.get(`/api/v1/users/search?q=quinn&limit=5${cursor}`, {
        token: admin.token,
      })
      seen.push(...body.items.map(({ username }: { username: string }) => username))
      cursor = body.next_cursor ? `&cursor=${body.next_cursor}` : ''
    } while (cursor)
    expect(seen).toEqual([
      ...[11, 9, 7, 5, 3, 1].map(n => `pager${n}`),
      ...[10, 8, 6, 4, 2, 0].map(n => `pager${n}`),
    ])
  })

  test('takes a cursor of itself alone', async () => {
    const { body } = await roster.get('/api/v1/users/search?q=quinn&limit=1', { token: admin.token })
    for (const query of [
      `q=qui&cursor=${body.next_cursor}`,
      'q=quinn&cursor=AAAA',
      `q=quinn&cursor=${body.next_cursor}x`,
    ]) {
      expect((await roster.get(`/api/v1/users/search?${query}`, { token: admin.token })).status).toBe(400)
    }
  })

  test.each(['limit=0', 'limit=101', 'sort=email', 'email=x', `q=${'x'.repeat(101)}`, 'q=a%00b', 'q=a&q=b'])(
    'refuses %s',
    async query => {
      expect((await roster.get(`/api/v1/users/search?${query}`, { token: admin.token })).status).toBe(400)
    },
  )

  test.each(['skills=,', 'skills=%20', 'skills=,&skills=%20,'])(
    'refuses %s, which names no skill',
    async query => {
      const { status, body } = await roster.get(`/api/v1/users/search?${query}`, { token: admin.token })
      expect(status).toBe(400)
      expect(body.errors).toMatchObject([{ path: 'skills', message: 'Must have at least 1 skill.' }])
    },
  )

  test('refuses more words than ten', async () => {
    const { body } = await roster.get(`/api/v1/users/search?q=${'a%20'.repeat(11)}`, { token: admin.token })
    expect(body.errors).toMatchObject([{ path: 'q', code: 'too_many' }])
  })
})

describe('who is not to be found', () => {
  test('is not: private, not searchable, deleted; and found again afterwards', async () => {
    const user = await person('hideous', 'Hideous Kinky')
    const put = (path: string, body: unknown) =>
      roster.put(`/api/v1/users/me/${path}`, body, { token: user.token })
    expect(await find('q=hideous')).toEqual(['hideous'])
    await put('profile', { visibility: 'private' })
    expect(await find('q=hideous')).toEqual([])
    await put('profile', { visibility: 'members' })
    expect(await find('q=hideous')).toEqual(['hideous'])
    await put('settings', { 'privacy.searchable': false })
    expect(await find('q=hideous')).toEqual([])
    await put('settings', { 'privacy.searchable': null })
    expect(await find('q=hideous')).toEqual(['hideous'])
    await roster.delete('/api/v1/users/me', { token: user.token })
    expect(await find('q=hideous')).toEqual([])
  })

  test('leaves nothing in what a search reads: hidden fields can’t be filtered on, nor change order or number', async () => {
    const user = await person('secretive', 'Secretive Sam', {
      location: 'Atlantis',
      profile: { city: 'Lemuria', country: 'Mu', skills: ['alchemy'] },
    })
    await roster.put('/api/v1/users/me/settings', { 'privacy.show_location': false }, { token: user.token })
    for (const query of ['location=atlantis', 'location=lemuria', 'location=mu', 'q=atlantis']) {
      expect(await find(query)).toEqual([])
    }
    expect(await find('skills=alchemy')).toEqual(['secretive'])
    const [row] = await roster.sql('select * from user_search where user_id = $1', [user.id])
    expect(JSON.stringify(row)).not.toMatch(/atlantis|lemuria/i)
    await roster.put('/api/v1/users/me/profile', { visibility: 'private' }, { token: user.token })
    const [hidden] = await roster.sql('select * from user_search where user_id = $1', [user.id])
    expect(hidden).toMatchObject({ is_visible: false, names: '', title: '', location: '', skills: [] })
  })

  test('a new name is found, the old one is not, at once', async () => {
    const user = await person('renamed.one', 'Rena Qvist')
    await roster.put('/api/v1/users/me', { full_name: 'Other Wise' }, { token: user.token })
    expect(await find('q=qvist')).toEqual([])
    expect(await find('q=wise')).toEqual(['renamed.one'])
  })
})

test('rows of an older version are folded again in the background', async () => {
  await roster.sql(`update user_search set form = 0, names = '', is_visible = false
    where user_id = (select id from users where username = 'anna.m')`)
  expect(await find('q=anna.m')).toEqual([])
  await refreshOutdated(roster.resources.store)
  expect(await find('q=anna.m')).toEqual(['anna.m'])
})

test('a version with a higher form finds all rows outdated, and this one’s are in an index', async () => {
  const { transact } = roster.resources.store
  expect(await transact(trx => lockOutdated(trx, searchForm, 1))).toEqual([])
  const all = await roster.sql('select user_id from user_search')
  expect(await transact(trx => lockOutdated(trx, searchForm + 1, 100))).toHaveLength(all.length)
  const [index] = await roster.sql(
    `select indexdef from pg_indexes where indexname = 'user_search__outdated'`,
  )
  expect(index.indexdef).toContain(`WHERE (form < ${searchForm})`)
})

test('a look-up of words goes by the index', async () => {
  const plan = await roster.sql(`explain select user_id from user_search
    where is_visible and user_search_keys(names, title, location, skills, position >> 14) @> array['0:n:anna']`)
  expect(JSON.stringify(plan)).toContain('user_search__keys')
})
