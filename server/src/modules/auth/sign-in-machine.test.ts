import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { minutes, seconds } from '../../lib/clock.ts'
import { type Reply, type SignedUp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { type Authenticator, enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'
import { signInMachine } from './sign-in-machine.ts'

/*
 * A walk over the whole of signing in: steps in any order, some of them at the same moment, wrong ones, late ones
 * and repeated ones. An oracle of its own, which knows only what each person has and what was typed, says of every
 * token that was given whether it was due.
 */

/** What is true of a person, as they and the world outside know it. */
type Facts = {
  password: string
  active: boolean
  app: Authenticator | undefined
  codes: readonly string[]
  /** Grows whenever the password or the factors change: what was begun before is worth nothing after. */
  epoch: number
}

type Person = { user: SignedUp; facts: Facts; token: string | undefined; dead: Set<string> }

/** A sign-in that waits for its second factor: at which epoch it began and how late, at most. */
type Waiting = { person: Person; token: string; from: number; to: number; since: number }

const kinds = [
  'login',
  'login',
  'wrong_login',
  'template_login',
  'verify',
  'verify',
  'verify',
  'wrong_verify',
  'replay',
  'recover',
  'enrol',
  'remove',
  'reset',
  'deactivate',
  'restore',
  'mfa_token_elsewhere',
  'wait',
  'wait_long',
] as const
type Kind = (typeof kinds)[number]
type Step = { kind: Kind; who: number; pick: number }

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  who: fc.nat({ max: 1 }),
  pick: fc.nat({ max: 1000 }),
})

class Walk {
  readonly #roster: TestApp
  readonly #admin: SignedUp
  readonly people: Person[]
  readonly #waiting: Waiting[] = []
  /** Everything that may work once: mfa_tokens, codes of a step, recovery codes. */
  readonly #spent = new Map<string, number>()
  readonly #typed: { waiting: Waiting; code: string }[] = []
  arrivals = 0

  constructor(roster: TestApp, admin: SignedUp, people: Person[]) {
    this.#roster = roster
    this.#admin = admin
    this.people = people
  }

  /** Takes steps at the same moment, then judges every token that came of them. */
  async take(group: readonly Step[]): Promise<void> {
    const before = new Map(this.people.map(person => [person, person.facts]))
    const known = new Map(this.people.map(person => [person, new Set(person.dead)]))
    const judgements = await Promise.all(group.map(step => this.#take(step)))
    for (const judge of judgements) judge?.(before)
    for (const person of this.people) {
      for (const token of known.get(person) ?? [])
        expect((await this.#roster.get('/api/v1/auth/me', { token })).status).toBe(401)
    }
    for (const [what, times] of this.#spent) expect([what, times]).toEqual([what, 1])
  }

  #take({ kind, who, pick }: Step): Promise<((before: Map<Person, Facts>) => void) | undefined> {
    const person = this.people[who]
    if (!person) throw new Error('nobody')
    const steps: Record<Kind, () => Promise<((before: Map<Person, Facts>) => void) | undefined>> = {
      login: () => this.#login(person, person.facts.password),
      wrong_login: () => this.#login(person, `Wrong${pick}Pass`),
      template_login: () => this.#templateLogin(person),
      verify: () => this.#verify(pick, 'totp', waiting => this.#codeNow(waiting)),
      wrong_verify: () => this.#verify(pick, 'totp', () => String(pick).padStart(6, '0')),
      replay: () => {
        const typed = this.#typed[pick % (this.#typed.length || 1)]
        return this.#verify(pick, 'totp', () => typed?.code ?? '000000')
      },
      recover: () =>
        this.#verify(pick, 'recovery_code', ({ person: { facts } }) => facts.codes[pick % 10] ?? 'x'),
      enrol: () => this.#enrol(person),
      remove: () => this.#remove(person),
      reset: () => this.#reset(person, `Reset${pick}Password`),
      deactivate: () => this.#administer(person, 'deactivate', false),
      restore: () => this.#administer(person, 'restore', true),
      mfa_token_elsewhere: () => this.#elsewhere(pick),
      wait: async () => void this.#roster.clock.advance(seconds(30)),
      wait_long: async () => void this.#roster.clock.advance(minutes(11)),
    }
    return steps[kind]()
  }

  /** What may have been true at some moment of the steps that were taken together. */
  #moments(person: Person, before: Map<Person, Facts>): Facts[] {
    const then = before.get(person) ?? person.facts
    return [
      then,
      person.facts,
      { ...then, active: person.facts.active },
      { ...person.facts, active: then.active },
    ]
  }

  async #login(person: Person, password: string) {
    const { email } = person.user
    const from = person.facts.epoch
    const reply = await this.#roster.post('/api/v1/auth/login', { email, password })
    const waiting = { person, token: reply.body.mfa_token, from, to: from, since: this.#now() }
    if (reply.body.mfa_required) this.#waiting.push(waiting)
    return (before: Map<Person, Facts>) => {
      waiting.to = person.facts.epoch
      const mayHave = (rule: (facts: Facts) => boolean) => this.#moments(person, before).some(rule)
      const proved = mayHave(facts => facts.active && facts.password === password)
      if (reply.body.mfa_required) expect(proved).toBe(true)
      if (!this.#arrived(person, reply)) return
      expect(proved).toBe(true)
      expect(mayHave(facts => facts.app === undefined)).toBe(true)
    }
  }

  async #templateLogin(person: Person) {
    const { password } = person.facts
    const reply = await this.#roster.post('/auth/token', { username: person.user.email, password })
    return (before: Map<Person, Facts>) => {
      if (!this.#arrived(person, reply)) return
      expect(this.#moments(person, before).some(({ active, app }) => active && app === undefined)).toBe(true)
    }
  }

  async #verify(pick: number, method: string, codeOf: (waiting: Waiting) => string) {
    const waiting = this.#waiting[pick % (this.#waiting.length || 1)]
    if (!waiting) return undefined
    const code = codeOf(waiting)
    this.#typed.push({ waiting, code })
    const at = this.#now()
    const body = { mfa_token: waiting.token, method, code }
    const reply = await this.#roster.post('/api/v1/auth/mfa/verify', body)
    return (before: Map<Person, Facts>) => {
      const { person } = waiting
      if (!this.#arrived(person, reply)) return
      const late = this.#now()
      const due = this.#moments(person, before).some(
        facts =>
          facts.active &&
          facts.epoch >= waiting.from &&
          facts.epoch <= Math.max(waiting.to, waiting.from) &&
          (method === 'totp' ? isCodeOf(facts.app, code, at, late) : facts.codes.includes(code)),
      )
      expect(due).toBe(true)
      expect(at - waiting.since).toBeLessThan(minutes(10))
      this.#spend(waiting.token)
      this.#spend(`${person.user.id} ${method} ${code} ${method === 'totp' ? person.facts.epoch : ''}`)
    }
  }

  #codeNow({ person }: Waiting): string {
    return person.facts.app?.code(this.#roster.clock.now()) ?? '123456'
  }

  async #enrol(person: Person) {
    const { token } = person
    if (!token || person.facts.app) return undefined
    try {
      const app = await enrolTotp(this.#roster, { token })
      this.#change(person, { app, codes: (await recoveryCodes(this.#roster, { token })) ?? [] }, token)
    } catch {
      person.token = undefined // the session ended, or is not fresh any more
    }
    return undefined
  }

  async #remove(person: Person) {
    const { token } = person
    if (!token) return undefined
    const { status } = await this.#roster.delete('/api/v1/auth/mfa/totp', { token })
    if (status === 204) this.#change(person, { app: undefined, codes: [] }, token)
    return undefined
  }

  async #reset(person: Person, password: string) {
    const { verification, store } = this.#roster.services
    const { user } = person
    const proof = { purpose: 'PASSWORD_RESET', userId: user.id, target: user.email, counted: false } as const
    const { token } = await store.transact(trx =>
      verification.issueLink(trx, this.#roster.clock.now(), proof),
    )
    const body = { token, new_password: password }
    const reply = await this.#roster.post('/api/v1/auth/password-reset-confirm', body)
    if (reply.status === 204) this.#change(person, { password })
    return () => expect(reply.text).toBe(reply.status === 204 ? '' : reply.text)
  }

  async #administer(person: Person, act: 'deactivate' | 'restore', active: boolean) {
    const admin = await this.#roster.signIn(this.#admin)
    const reply = await this.#roster.post(`/api/v1/users/${person.user.id}/${act}`, undefined, {
      token: admin.token,
    })
    if (reply.status >= 300) return undefined
    person.facts = { ...person.facts, active }
    if (!active) this.#endSession(person)
    return undefined
  }

  /** An mfa_token opens nothing but the route that it is for. */
  async #elsewhere(pick: number) {
    const waiting = this.#waiting[pick % (this.#waiting.length || 1)]
    if (!waiting) return undefined
    const { token } = waiting
    const replies = [
      await this.#roster.get('/api/v1/auth/me', { token }),
      await this.#roster.post('/api/v1/auth/refresh', { refresh_token: token }),
      await this.#roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token }),
      await this.#roster.post('/api/v1/auth/step-up', { password: waiting.person.facts.password }, { token }),
    ]
    return () => {
      for (const { status } of replies) expect(status).toBe(401)
    }
  }

  #arrived(person: Person, reply: Reply): boolean {
    const token: string | undefined = reply.body?.access_token
    if (token === undefined) return false
    this.arrivals += 1
    person.token = token
    return true
  }

  #change(person: Person, change: Partial<Facts>, keep?: string): void {
    person.facts = { ...person.facts, ...change, epoch: person.facts.epoch + 1 }
    if (person.token !== keep) this.#endSession(person)
  }

  #endSession(person: Person): void {
    if (person.token) person.dead.add(person.token)
    person.token = undefined
  }

  #spend(what: string): void {
    this.#spent.set(what, (this.#spent.get(what) ?? 0) + 1)
  }

  #now = (): number => this.#roster.clock.now().getTime()
}

/** Whether it is the code of one of the steps around some moment between `from` and `to`. */
function isCodeOf(app: Authenticator | undefined, code: string, from: number, to: number): boolean {
  for (let at = from - seconds(30); at <= to + seconds(30); at += seconds(30))
    if (app?.code(new Date(at)) === code) return true
  return app?.code(new Date(to + seconds(30))) === code
}

const alone = (kind: Kind, pick = 0): Step[] => [{ kind, who: 0, pick }]

const between = (kind: Kind): Step[][] => (['enrol', 'login', kind, 'verify'] as const).map(one => alone(one))

/** One code for two sign-ins, after another and at once. */
const twice: Step[][][] = [
  [alone('enrol'), alone('login'), alone('login'), alone('verify'), alone('replay', 1)],
  [alone('enrol'), alone('login'), alone('login'), [...alone('verify'), ...alone('verify', 1)]],
  [alone('enrol'), alone('login'), alone('login'), [...alone('recover'), ...alone('recover', 10)]],
]

async function setOut(roster: TestApp, admin: SignedUp): Promise<Walk> {
  const people = [await roster.signUp(), await roster.signUp()].map(user => ({
    user,
    facts: { password: user.password, active: true, app: undefined, codes: [], epoch: 0 },
    token: user.token,
    dead: new Set<string>(),
  }))
  return new Walk(roster, admin, people)
}

describe('signing in', async () => {
  const roster = await useTestApp()
  const admin = await roster.signUpAdmin()

  test('gives tokens to nobody who has not proved every factor that is due, whatever they do in whatever order', {
    timeout: 300_000,
  }, async () => {
    let arrivals = 0
    const groups = fc.array(fc.array(stepArbitrary, { minLength: 1, maxLength: 3 }), {
      minLength: 8,
      maxLength: 20,
    })
    await fc.assert(
      fc.asyncProperty(groups, async taken => {
        const walk = await setOut(roster, admin)
        // Most walks begin with a second factor, so that the steps have something to find.
        if (taken.length % 3) await walk.take([{ kind: 'enrol', who: 0, pick: 0 }])
        for (const group of taken) await walk.take(group)
        arrivals += walk.arrivals
      }),
      // Beside those by chance: each kind of step between the first factor and the second.
      {
        numRuns: 45,
        examples: [...[...new Set(kinds)].map(between), ...twice].map(walk => [walk]),
        endOnFailure: true,
      },
    )
    expect(arrivals).toBeGreaterThan(10)
  })

  test('lets in whoever does it right, from every state that the machine declares', async () => {
    const walk = await setOut(roster, admin)
    const [person] = walk.people
    for (const kind of ['enrol', 'login', 'verify', 'wait', 'remove', 'login', 'reset', 'login'] as const)
      await walk.take([{ kind, who: 0, pick: 0 }])
    expect(walk.arrivals).toBe(3)
    expect(person?.token).toBeDefined()
  })

  test('is declared whole: every action leads to states that there are', () => {
    const states = Object.keys(signInMachine)
    for (const { actions } of Object.values(signInMachine))
      for (const next of Object.values(actions).flat()) expect(states).toContain(next)
  })
})
