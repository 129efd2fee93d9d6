import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SignedUp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { type Kind, kinds, type Step, Surroundings, Walk } from '../../testing/sign-in-walk.ts'
import { signInMachine } from './sign-in-machine.ts'

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('login', 'verify', 'verify', 'step_up', ...kinds),
  who: fc.nat({ max: 1 }),
  pick: fc.nat({ max: 1000 }),
})

/** One step by itself; `who` is 1 for the person whose role demands a second factor. */
const alone = (kind: Kind, pick = 0, who = 0): Step[] => [{ kind, who, pick }]

const at = (...steps: readonly Step[][]): Step[] => steps.flat()

const between = (first: Kind, second: Kind): Step[][] =>
  (['enrol', 'login', first, 'verify', 'wait', 'login', second, 'verify'] as const).map(one => alone(one))

/** Each kind of step between the first factor and the second, two in a walk. */
const each: Step[][][] = kinds.flatMap((kind, n) => (n % 2 ? [] : [between(kind, kinds[n + 1] ?? 'replay')]))

/** One code for two sign-ins, after another and at once. */
const twice: Step[][][] = [
  [alone('enrol'), alone('login'), alone('login'), alone('verify'), alone('replay', 1)],
  [alone('enrol'), alone('login'), alone('login'), at(alone('verify'), alone('verify', 1))],
  [alone('enrol'), alone('login'), alone('login'), at(alone('recover'), alone('recover', 10))],
]

/** Stepping up while the session, its person or their factors change: 0 is the newest session, 1 the one before. */
const races: Step[][][] = [
  [alone('login'), at(alone('step_up'), alone('enrol', 1)), alone('step_up')],
  [alone('login'), at(alone('step_up'), alone('register_key', 1)), alone('login')],
  [alone('login'), at(alone('step_up'), alone('log_out')), at(alone('step_up'), alone('reset'))],
  [at(alone('step_up'), alone('step_up'), alone('step_up')), at(alone('step_up'), alone('deactivate'))],
  [alone('enrol'), at(alone('step_up_code'), alone('step_up')), at(alone('step_up'), alone('remove'))],
]

/** What is rare by chance. */
const ways: Step[][][] = [
  [
    alone('register_key'),
    alone('passkey'),
    alone('verify_password'),
    alone('login'),
    alone('verify_passkey', 1),
  ],
  [alone('register_key'), alone('verified_passkey'), alone('delete_account'), alone('restore_account')],
  [alone('step_up', 0, 1), alone('enrol', 0, 1), alone('step_up', 0, 1), alone('log_out', 0, 1)],
  [alone('log_out', 0, 1), alone('login', 0, 1), alone('accept_invitation', 0, 1)],
]

const role = 'guarded'

async function setOut(around: Surroundings): Promise<Walk> {
  const { roster } = around
  const users = await Promise.all([roster.signUp(), roster.signUp()])
  const ids = users.map(({ id }) => id)
  // Whose address was never proved loses their factors with a reset; that is another story.
  await roster.sql('update users set email_verified_at = created_at where id = any($1)', [ids])
  await roster.sql('insert into user_roles (user_id, role_name, granted_at) values ($1, $2, now())', [
    ids[1],
    role,
  ])
  const people = users.map((user, n) => ({
    user,
    guarded: n === 1,
    facts: { password: user.password, active: true, app: undefined, codes: [], key: undefined, epoch: 0 },
    tokens: [user.token],
    dead: new Set<string>(),
    raised: new Set<string>(),
    last: { app: undefined, key: undefined },
    restoreLink: undefined,
  }))
  return new Walk(around, people)
}

async function surround(roster: TestApp, admin: SignedUp): Promise<Surroundings> {
  const demanding = { name: role, description: 'x', permissions: [], requires_mfa: true }
  await roster.post('/api/v1/rbac/roles', demanding, { token: admin.token })
  return new Surroundings(roster, admin)
}

describe('signing in', async () => {
  const roster = await useTestApp()
  const around = await surround(roster, await roster.signUpAdmin())

  test('gives tokens to nobody who has not proved every factor that is due, whatever they do in whatever order', {
    timeout: 300_000,
  }, async () => {
    let arrivals = 0
    const groups = fc.array(fc.array(stepArbitrary, { minLength: 1, maxLength: 3 }), {
      minLength: 8,
      maxLength: 20,
    })
    const examples = [...each, ...twice, ...races, ...ways]
    await fc.assert(
      fc.asyncProperty(groups, async taken => {
        const walk = await setOut(around)
        // Most walks begin with a second factor, so that the steps have something to find.
        if (taken.length % 3) await walk.take([{ kind: 'enrol', who: 0, pick: 0 }])
        for (const group of taken) await walk.take(group)
        arrivals += walk.arrivals
      }),
      { numRuns: examples.length + 26, examples: examples.map(walk => [walk]), endOnFailure: true },
    )
    expect(arrivals).toBeGreaterThan(10)
  })

  test('takes every action that the machine declares in that walk', () => {
    const declared = Object.entries(signInMachine).flatMap(([state, { actions }]) =>
      Object.keys(actions).map(action => `${state}: ${action}`),
    )
    expect([...around.taken].sort()).toEqual(declared.sort())
  })

  test('lets in whoever does it right, from every state that the machine declares', async () => {
    const walk = await setOut(around)
    const [person] = walk.people
    for (const kind of ['enrol', 'login', 'verify', 'wait', 'remove', 'login', 'reset', 'login'] as const)
      await walk.take(alone(kind))
    expect(walk.arrivals).toBe(3)
    expect(person?.tokens).toHaveLength(1)
  })

  test('is declared whole: every action leads to states that there are', () => {
    const states = Object.keys(signInMachine)
    for (const { actions } of Object.values(signInMachine))
      for (const next of Object.values(actions).flat()) expect(states).toContain(next)
  })
})
