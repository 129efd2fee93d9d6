import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { formatUuid, uuidToBytes } from '../../lib/ids.ts'
import { startTestApp, type TestApp } from '../../testing/harness.ts'
import { until } from '../../testing/until.ts'
import { appendAudit } from './append.ts'
import { createSealer } from './sealer.ts'
import { verifyAudit } from './verify.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-audit-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** A log of 24 rows of one kind under three seals, and the rows that a first start leaves. */
async function withLog(use: (roster: TestApp, ids: string[]) => Promise<void>): Promise<void> {
  const dataDir = fs.mkdtempSync(path.join(folder, 'data-'))
  const roster = await startTestApp({ config: { dataDir } })
  try {
    for (let seal = 0; seal < 3; seal += 1) {
      await write(roster, 8)
      await roster.services.sealer.seal()
    }
    const rows = await roster.sql(`select id from audit_log where action = 'test.done' order by id`)
    await use(
      roster,
      rows.map(({ id }) => id),
    )
  } finally {
    await roster.stop()
  }
}

async function write({ services: { store, clock } }: TestApp, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const origin = { actorType: 'anonymous', ip: '192.0.2.7', userAgent: 'test' } as const
    await store.transact(trx =>
      appendAudit(trx, clock.now(), origin, {
        action: 'test.done',
        subject: { type: 'user', id: `subject ${n}` },
        changedFields: ['a', 'b"'],
        details: { n, nested: { text: 'ü' } },
      }),
    )
  }
}

/** What only somebody with more rights than the service can do. */
async function tamper(roster: TestApp, statement: string, values: unknown[] = []): Promise<void> {
  const tables = ['audit_log', 'audit_seals', 'audit_personal']
  for (const table of tables) await roster.sql(`alter table ${table} disable trigger all`)
  await roster.sql(statement, values)
  for (const table of tables) {
    await roster.sql(`alter table ${table} enable trigger all`)
    await roster.sql(`alter table ${table} enable always trigger ${table}__append_only`)
  }
}

const countRows = async ({ sql }: TestApp): Promise<number> =>
  (await sql('select count(*)::int as n from audit_log'))[0].n

const verify = ({ services }: TestApp) => {
  const head = services.sealer.knownHead()
  return verifyAudit(services, head ? { heads: [head] } : {})
}

describe('an audit log', () => {
  test('that nobody touched verifies, also with rows that are not sealed yet', () =>
    withLog(async roster => {
      await write(roster, 2)
      expect(await verify(roster)).toMatchObject({
        ok: true,
        rows: await countRows(roster),
        seals: 3,
        unsealed: 2,
        erased: 0,
        problems: [],
        head: expect.stringMatching(/^3:/),
      })
    }))

  test('with a changed field is found out, whichever the field', () =>
    withLog(async (roster, ids) => {
      const changes = [
        `action = 'other'`,
        `occurred_at = occurred_at + interval '1 microsecond'`,
        `outcome = 'failure'`,
        `actor_type = 'system'`,
        `actor_id = gen_random_uuid()`,
        `subject_type = 'role'`,
        `subject_id = 'x'`,
        `subject_id = null`,
        `session_id = gen_random_uuid()`,
        `request_id = 'x'`,
        `changed_fields = '{a}'`,
        `changed_fields = '{a,"b\\"",c}'`,
        `details = details || '{"n": 99}'`,
        `personal_digest = null`,
      ]
      for (const [n, change] of changes.entries()) {
        await tamper(roster, `update audit_log set ${change} where id = $1`, [ids[n]])
      }
      const { ok, problems } = await verify(roster)
      expect(ok).toBe(false)
      expect(problems.filter(({ kind }) => kind === 'row_changed')).toEqual(
        changes.map((_, n) => ({
          kind: 'row_changed',
          seal: n < 8 ? 1 : 2,
          audit_id: ids[n],
          message: expect.stringContaining(String(ids[n])),
        })),
      )
    }))

  test('with a deleted row names it, sealed before or not', () =>
    withLog(async (roster, ids) => {
      await tamper(roster, 'delete from audit_log where id = $1', [ids[0]])
      expect((await verify(roster)).problems).toMatchObject([
        { kind: 'row_deleted', seal: 1, audit_id: ids[0] },
      ])
      await write(roster, 1)
      const [last] = await roster.sql('select id from audit_log order by id desc limit 1')
      await tamper(roster, 'delete from audit_log where id = $1', [last.id])
      await roster.services.sealer.seal()
      expect((await verify(roster)).problems).toMatchObject([
        { audit_id: ids[0] },
        {
          kind: 'row_deleted',
          seal: 4,
          audit_id: last.id,
          message: expect.stringContaining('before it was'),
        },
      ])
    }))

  test('with a row put in names it, whatever its id', () =>
    withLog(async (roster, ids) => {
      const copy = (id: string) =>
        tamper(
          roster,
          `insert into audit_log (id, occurred_at, action, outcome, actor_type)
           select $1, occurred_at, 'forged', outcome, actor_type from audit_log where id = $2`,
          [id, ids[3]],
        )
      const near = `${String(ids[3]).slice(0, -4)}ffff`
      await copy(near)
      await copy('00000000-0000-4000-8000-000000000000')
      const { problems } = await verify(roster)
      expect(problems).toHaveLength(2)
      expect(problems).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'row_inserted', audit_id: near }),
          expect.objectContaining({
            kind: 'row_inserted',
            audit_id: '00000000-0000-4000-8000-000000000000',
          }),
        ]),
      )
    }))

  test('with a row taken out of the queue before it was sealed names it', () =>
    withLog(async roster => {
      await write(roster, 1)
      const [{ audit_id }] = await roster.sql('delete from audit_unsealed returning audit_id')
      await roster.services.sealer.seal()
      expect((await verify(roster)).problems).toMatchObject([{ kind: 'row_inserted', audit_id }])
    }))

  test('with a row put in and another one queued twice to make up for it names it', () =>
    withLog(async (roster, ids) => {
      const forged = `${String(ids[3]).slice(0, -4)}ffff`
      await tamper(
        roster,
        `insert into audit_log (id, occurred_at, action, outcome, actor_type)
         select $1, occurred_at, 'forged', outcome, actor_type from audit_log where id = $2`,
        [forged, ids[3]],
      )
      await roster.sql('insert into audit_unsealed values ($1)', [ids[3]])
      await roster.services.sealer.seal()
      expect((await verify(roster)).problems).toMatchObject([{ kind: 'row_inserted', audit_id: forged }])
    }))

  test('with a row whose id differs from one that was queued twice in any few bits names it', () =>
    withLog(async (roster, ids) => {
      const flip = (id: string) => {
        const bytes = uuidToBytes(id)
        for (const at of [9, 12, 14]) bytes[at] = (bytes[at] ?? 0) ^ 0x80
        return formatUuid(bytes)
      }
      const forged = flip(String(ids[3]))
      await roster.sql(
        `insert into audit_log (id, occurred_at, action, outcome, actor_type)
         select $1, occurred_at, 'forged', outcome, actor_type from audit_log where id = $2`,
        [forged, ids[3]],
      )
      await roster.sql('insert into audit_unsealed values ($1)', [ids[3]])
      await roster.services.sealer.seal()
      expect((await verify(roster)).problems).toMatchObject([{ kind: 'row_inserted', audit_id: forged }])
    }))

  test('with two rows swapped names both', () =>
    withLog(async (roster, ids) => {
      const [one, two] = [ids[1], ids[17]]
      await tamper(
        roster,
        `update audit_log set id = case id when $1::uuid then 'ffffffff-0000-0000-0000-000000000000' else id end where id = $1`,
        [one],
      )
      await tamper(roster, 'update audit_log set id = $1 where id = $2', [one, two])
      await tamper(roster, `update audit_log set id = $1 where id = 'ffffffff-0000-0000-0000-000000000000'`, [
        two,
      ])
      const rows = (await verify(roster)).problems.filter(({ kind }) => kind === 'row_changed')
      expect(rows.map(({ kind, audit_id, seal }) => [kind, audit_id, seal])).toEqual([
        ['row_changed', one, 1],
        ['row_changed', two, 3],
      ])
    }))

  test('with an address or a device changed beside the chain names its row', () =>
    withLog(async (roster, ids) => {
      await tamper(roster, `update audit_personal set ip = '192.0.2.8' where audit_id = $1`, [ids[2]])
      await tamper(roster, `update audit_personal set user_agent = 'x' where audit_id = $1`, [ids[4]])
      expect((await verify(roster)).problems.map(({ kind, audit_id }) => [kind, audit_id])).toEqual([
        ['personal_changed', ids[2]],
        ['personal_changed', ids[4]],
      ])
    }))

  test('with an address and a device put in or taken out beside the chain names its row', () =>
    withLog(async (roster, ids) => {
      const { store, clock } = roster.services
      await store.transact(trx =>
        appendAudit(trx, clock.now(), { actorType: 'system' }, { action: 'test.bare' }),
      )
      await roster.services.sealer.seal()
      const [bare] = await roster.sql(`select id from audit_log where action = 'test.bare'`)
      await roster.sql(`insert into audit_personal (audit_id, ip) values ($1, '203.0.113.6')`, [bare.id])
      await roster.sql('delete from audit_personal where audit_id = $1', [ids[5]])
      const { problems, erased } = await verify(roster)
      expect(problems.map(({ audit_id, message }) => [audit_id, message])).toEqual([
        [ids[5], expect.stringContaining('removed')],
        [bare.id, expect.stringContaining('put in later')],
      ])
      expect(erased).toBe(0)
    }))

  test('continued otherwise than any one known end says is found out', () =>
    withLog(async ({ services }) => {
      const kept = services.sealer.knownHead()
      if (!kept) throw new Error('no end is known')
      const other = { sequence: kept.sequence, mac: Buffer.alloc(32, 1) }
      for (const heads of [
        [kept, other],
        [other, kept],
      ])
        expect((await verifyAudit(services, { heads })).problems).toMatchObject([
          { kind: 'seal_changed', seal: 3 },
        ])
    }))

  test.each([
    ['edited', `update audit_seals set entries = entries || entries where sequence = 2`, 'seal_changed', 2],
    ['moved in time', `update audit_seals set sealed_at = now() where sequence = 2`, 'seal_changed', 2],
    ['missing', `delete from audit_seals where sequence = 2`, 'seals_missing', 2],
    [
      'exchanged with another',
      `update audit_seals a set entries = b.entries, mac = b.mac from audit_seals b
       where (a.sequence, b.sequence) in ((1, 2), (2, 1))`,
      'seal_changed',
      1,
    ],
  ])('with a seal %s names it', (_how, statement, kind, seal) =>
    withLog(async roster => {
      await tamper(roster, statement)
      expect((await verify(roster)).problems[0]).toMatchObject({ kind, seal })
    }),
  )

  test('with rows and seals cut off its end is found out by whoever knew a later end', () =>
    withLog(async (roster, ids) => {
      const { sealer } = roster.services
      await tamper(roster, 'delete from audit_seals where sequence = 3')
      await tamper(roster, 'delete from audit_log where id = any($1)', [ids.slice(16)])
      const cut = { kind: 'tail_missing', seal: 3, message: expect.stringContaining('ends with seal 2') }
      expect((await verify(roster)).problems).toMatchObject([cut])

      // The data folder remembers across a restart, and does not let itself be talked out of it.
      await write(roster, 1)
      const second = await startTestApp({
        databaseUrl: roster.databaseUrl,
        clock: roster.clock,
        config: { dataDir: roster.resources.config.dataDir },
      })
      expect(second.services.sealer.knownHead()).toEqual(sealer.knownHead())
      await second.services.sealer.seal()
      expect(second.services.sealer.knownHead()).toEqual(sealer.knownHead())
      expect((await verify(second)).problems).toMatchObject([
        { kind: 'seal_changed', seal: 3, message: expect.stringContaining('cut there and continued') },
      ])
      await second.stop()
    }))

  test('refuses its own service’s changes, on every table, even by its owner', () =>
    withLog(async ({ sql }) => {
      for (const statement of [
        `update audit_log set action = 'x'`,
        'delete from audit_log',
        'truncate audit_log cascade',
        `set session_replication_role = replica; delete from audit_log`,
        `update audit_seals set sealed_at = now()`,
        'delete from audit_seals',
        'truncate audit_seals',
        `update audit_personal set user_agent = 'x'`,
        'truncate audit_personal',
      ]) {
        await expect(sql(statement), statement).rejects.toThrow('append-only')
      }
    }))
})

test('a row whose transaction commits long after later ones is sealed then', () =>
  withLog(async roster => {
    const { store, sealer, clock } = roster.services
    const { promise: committed, resolve: commit } = Promise.withResolvers<void>()
    const late = store.transact(async trx => {
      await appendAudit(trx, clock.now(), { actorType: 'system' }, { action: 'late' })
      await committed
    })
    await write(roster, 3)
    expect(await sealer.seal()).toBe(3)
    commit()
    await late
    expect(await sealer.seal()).toBe(1)
    expect(await verify(roster)).toMatchObject({ ok: true, rows: await countRows(roster), unsealed: 0 })
  }))

test('the known end never goes back, also where a slow call is overtaken', () =>
  withLog(async roster => {
    const { store, clock } = roster.services
    let replies = 0
    const db = store.db.withPlugin({
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        if (++replies === 1) await sleep(300)
        return result
      },
    })
    const sealer = createSealer({
      store: { ...store, db },
      clock,
      auditKey: Buffer.alloc(32),
      dataDir: undefined,
      log: roster.resources.log,
    })
    await write(roster, 1)
    const slow = sealer.seal()
    await until(() => replies === 1)
    await write(roster, 1)
    await Promise.all([slow, sealer.seal()])
    expect(sealer.knownHead()?.sequence).toBe(5)
  }))

test('several processes seal at once without a gap, a fork or a row twice, while writers go on', () =>
  withLog(async roster => {
    const others = await Promise.all(
      [1, 2].map(() => startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })),
    )
    const all = [roster, ...others]
    const seal = async (one: TestApp) => {
      for (let n = 0; n < 15; n += 1) await one.services.sealer.seal()
    }
    await Promise.all([...all.map(one => write(one, 30)), ...all.map(seal)])
    await roster.services.sealer.seal()
    expect(await verify(roster)).toMatchObject({ ok: true, rows: await countRows(roster), unsealed: 0 })
    const [{ bytes }] = await roster.sql('select sum(length(entries)) as bytes from audit_seals')
    expect(Number(bytes)).toBe((await countRows(roster)) * 32)
    for (const other of others) await other.stop()
  }))
