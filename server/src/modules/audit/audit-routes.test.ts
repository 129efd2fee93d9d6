import { describe, expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { planOf } from '../../testing/plans.ts'
import { selection } from './list.ts'
import { auditQuery } from './repo.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const user = await roster.signUp()
const other = await roster.signUp()
// 20,000 rows of one every three seconds, most of them logins.
await roster.sql(
  `with rows as (
     insert into audit_log (id, occurred_at, action, outcome, actor_type, actor_id, subject_type, subject_id, details)
     select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8' || substr(md5(n::text), 1, 15))::uuid,
       at, case when n % 500 = 0 then 'role.granted' when n % 501 = 0 then 'role.revoked' else 'login' end,
       case when n % 50 = 1 then 'failure' else 'success' end, 'user',
       case when n % 100 = 1 then $1::uuid else gen_random_uuid() end, 'user',
       case when n % 100 = 2 then $2 else 'somebody ' || n % 3000 end, jsonb_build_object('n', n)
     from generate_series(1, 20000) n, lateral (select timestamptz '2025-06-01' + n * interval '3 seconds' as at) t
     returning id
   ) insert into audit_unsealed select id from rows`,
  [user.id, other.id],
)
await roster.sql('analyze audit_log, audit_personal')

type Entry = {
  id: string
  action: string
  outcome: string
  occurred_at: string
  actor: { id: string }
  subject: { id: string }
}

async function everything(query: string): Promise<Entry[]> {
  const items: Entry[] = []
  let cursor = ''
  for (;;) {
    const { status, body } = await roster.get(
      `/api/v1/audit?limit=100&${query}${cursor && `&cursor=${cursor}`}`,
      admin,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    items.push(...body.items)
    if (body.next_cursor === null) return items
    cursor = body.next_cursor
  }
}

describe('the audit log', () => {
  test.each([
    [`actor=${user.id}`, `actor_id = '${user.id}'`],
    [`actor=${user.id}&outcome=failure`, `actor_id = '${user.id}' and outcome = 'failure'`],
    [`subject=${other.id}`, `subject_id = '${other.id}'`],
    [`subject=${other.id.toUpperCase()}`, `subject_id = '${other.id}'`],
    ['action=role.granted', `action = 'role.granted'`],
    ['action=role.granted&action=role.revoked', `action in ('role.granted', 'role.revoked')`],
    ['action=role.granted&action=role.granted', `action = 'role.granted'`],
    ['outcome=failure', `outcome = 'failure'`],
    [
      'after=2025-06-01T01:00:00Z&before=2025-06-01T01:30:00Z',
      `occurred_at >= '2025-06-01T01:00Z' and occurred_at < '2025-06-01T01:30Z'`,
    ],
    [
      'action=login&outcome=failure&before=2025-06-01T05:00:00Z',
      `action = 'login' and outcome = 'failure' and occurred_at < '2025-06-01T05:00Z'`,
    ],
  ])('narrowed by %s has exactly those rows, newest first', async (query, where) => {
    const found = (await everything(query)).map(({ id }) => id)
    const rows = await roster.sql(`select id from audit_log where ${where} order by id desc`)
    expect(found).toEqual(rows.map(({ id }) => id))
    expect(found.length).toBeGreaterThan(10)
  })

  test('shows who did what to whom, from where, and how it ended', async () => {
    await roster.post(
      '/api/v1/auth/login',
      { email: user.email, password: 'wrong' },
      { headers: { 'user-agent': 'Tester/1' } },
    )
    const { body } = await roster.get('/api/v1/audit?limit=1', admin)
    expect(body.items).toEqual([
      {
        id: expect.any(String),
        occurred_at: roster.clock.now().toISOString(),
        action: 'login',
        outcome: 'failure',
        actor: { type: 'anonymous', id: null },
        subject: { type: 'user', id: user.id },
        session_id: null,
        request_id: expect.any(String),
        ip: '127.0.0.1',
        user_agent: 'Tester/1',
        changed_fields: [],
        details: expect.objectContaining({ method: 'password' }),
      },
    ])
  })

  test.each([
    'order=asc',
    'sort=ip',
    'ip=127.0.0.1',
    'outcome=none',
    'actor=me',
    'before=never',
    'cursor=x',
    'limit=1000',
  ])('refuses %s by name', async query => {
    const { status, body } = await roster.get(`/api/v1/audit?${query}`, admin)
    expect({ status, path: body.errors[0].path }).toEqual({ status: 400, path: query.split('=')[0] })
  })

  test.each([
    {},
    { actorId: user.id },
    { subjectId: other.id },
    { actions: ['role.granted'] },
    { actions: ['role.granted', 'role.revoked', 'role.created', 'role.updated', 'role.deleted'] },
    { outcome: 'failure' as const },
    { outcome: 'denied' as const },
    { outcome: 'success' as const },
    { after: new Date('2025-06-01T01:00Z'), before: new Date('2025-06-01T02:00Z') },
    { actorId: user.id, actions: ['login'], outcome: 'failure' as const },
  ])('is read by index: %j', async filter => {
    for (const place of [undefined, '01972aa0-0000-7000-8000-000000000000']) {
      const compiled = auditQuery(selection(filter, 51, place)).compile(roster.resources.store.db)
      const plan = await planOf(roster, compiled)
      expect(plan, plan).not.toMatch(/Seq Scan on audit_log/)
    }
  })
})

describe('an export', () => {
  test('as NDJSON has every row that the filters take, and is recorded', async () => {
    const { status, text, headers } = await roster.get('/api/v1/audit/export?action=login', admin)
    expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'application/x-ndjson' })
    const lines = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const [{ n }] = await roster.sql(`select count(*)::int as n from audit_log where action = 'login'`)
    expect(lines).toHaveLength(n)
    expect(new Set(lines.map(({ id }) => id)).size).toBe(n)
    const recorded = await roster.sql(`select actor_id from audit_log where action = 'audit.exported'`)
    expect(recorded).toEqual([{ actor_id: admin.id }])
  })

  test('as CSV keeps what looks like a formula from being one', async () => {
    await roster.post(
      '/api/v1/auth/login',
      { email: user.email, password: 'wrong' },
      { headers: { 'user-agent': '=HYPERLINK("http://x","y")' } },
    )
    const { text, headers } = await roster.get(`/api/v1/audit/export?format=csv&subject=${user.id}`, admin)
    expect(headers['content-disposition']).toBe('attachment; filename="audit.csv"')
    const [head, ...lines] = text.split('\r\n')
    expect(head).toMatch(/^id,occurred_at,action,outcome,/)
    expect(lines[0]).toContain(`"'=HYPERLINK(""http://x"",""y"")"`)
  })
})

test('verifying by request answers for the whole log, is recorded, and takes the head of an earlier time', async () => {
  const first = await roster.post('/api/v1/audit/verify', undefined, admin)
  expect(first.body).toMatchObject({ ok: true, problems: [], unsealed: 0 })
  const second = await roster.post('/api/v1/audit/verify', { head: first.body.head }, admin)
  expect(second.body.ok).toBe(true)
  const [sequence = ''] = String(first.body.head).split(':')
  const foreign = `${Number(sequence) + 1000}:${'A'.repeat(43)}`
  const third = await roster.post('/api/v1/audit/verify', { head: foreign }, admin)
  expect(third.body).toMatchObject({ ok: false, problems: [{ kind: 'tail_missing' }] })
  expect((await roster.post('/api/v1/audit/verify', { head: 'x' }, admin)).status).toBe(400)
  const recorded = await roster.sql(
    `select outcome from audit_log where action = 'audit.verified' order by id`,
  )
  expect(recorded.map(({ outcome }) => outcome)).toEqual(['success', 'success', 'failure'])
})
