import { expect } from 'vitest'
import { minutes, seconds } from '../lib/clock.ts'
import { signInMachine } from '../modules/auth/sign-in-machine.ts'
import type { Reply, SignedUp, TestApp } from './harness.ts'
import { lastSent, tokenOf } from './outbox.ts'
import { type Authenticator, enrolTotp, recoveryCodes } from './second-factors.ts'
import { registerPasskey, type SoftwareAuthenticator } from './software-authenticator.ts'

/*
 * A walk over the whole of signing in: steps in any order, some of them at the same moment, wrong ones, late ones
 * and repeated ones. An oracle of its own, which knows only what each person has and what was typed, says of every
 * token that was given whether it was due, and of every session whether it may live.
 */

/** What is true of a person, as they and the world outside know it. */
type Facts = {
  password: string
  active: boolean
  app: Authenticator | undefined
  codes: readonly string[]
  key: SoftwareAuthenticator | undefined
  /** Grows whenever the password or the factors change: what was begun before is worth nothing after. */
  epoch: number
}

export type Person = {
  user: SignedUp
  /** Whether they hold a role that demands a second factor. */
  guarded: boolean
  facts: Facts
  /** Of sessions that may live, the newest last. */
  tokens: string[]
  dead: Set<string>
  /** Tokens whose sessions have proved a second factor since they were given. */
  raised: Set<string>
  /** What was enrolled last, removed since or not. */
  last: Pick<Facts, 'app' | 'key'>
  restoreLink: string | undefined
}

/** A sign-in that waits for its second factor: at which epoch it began and how late, at most. */
type Waiting = {
  person: Person
  token: string
  first: 'password' | 'passkey'
  from: number
  to: number
  since: number
}

/** Judges a step once all that happened at the same moment is known. `before` is what was true before them. */
type Judge = (before: Map<Person, Facts>) => void

export const kinds = [
  'login',
  'wrong_login',
  'template_login',
  'passkey',
  'verified_passkey',
  'verify',
  'wrong_verify',
  'replay',
  'recover',
  'verify_password',
  'verify_passkey',
  'enrol',
  'remove',
  'register_key',
  'step_up',
  'step_up_code',
  'log_out',
  'reset',
  'accept_invitation',
  'deactivate',
  'restore',
  'delete_account',
  'restore_account',
  'mfa_token_elsewhere',
  'wait',
  'wait_long',
] as const
export type Kind = (typeof kinds)[number]
export type Step = { kind: Kind; who: number; pick: number }

/** What every walk shares: who administers, and the actions of the machine that any of them has taken. */
export class Surroundings {
  readonly roster: TestApp
  readonly taken = new Set<string>()
  readonly #admin: SignedUp
  #token: string
  #since: number

  constructor(roster: TestApp, admin: SignedUp) {
    this.roster = roster
    this.#admin = admin
    this.#token = admin.token
    this.#since = roster.clock.now().getTime()
  }

  async administer(path: string): Promise<Reply> {
    const now = this.roster.clock.now().getTime()
    if (now - this.#since > minutes(20)) {
      this.#token = (await this.roster.signIn(this.#admin)).token
      this.#since = now
    }
    return this.roster.post(path, undefined, { token: this.#token })
  }
}

export class Walk {
  readonly #around: Surroundings
  readonly #roster: TestApp
  readonly people: Person[]
  readonly #waiting: Waiting[] = []
  /** Everything that may work once: mfa_tokens, tokens to step up from, codes of a step, recovery codes. */
  readonly #spent = new Map<string, number>()
  readonly #typed: string[] = []
  /** Of the steps that are taken together: what ended a person's sessions, all or all but one. */
  #ends: { person: Person; keep?: string }[] = []
  #stepsUp: { person: Person; from: string; to: string }[] = []
  /** Tokens of sign-ins that came before any change of their person. */
  #early: { person: Person; token: string }[] = []
  arrivals = 0

  constructor(around: Surroundings, people: Person[]) {
    this.#around = around
    this.#roster = around.roster
    this.people = people
  }

  /** Takes steps at the same moment, then judges every token that came of them. */
  async take(group: readonly Step[]): Promise<void> {
    const before = new Map(this.people.map(person => [person, person.facts]))
    const known = new Map(this.people.map(person => [person, [...person.tokens]]))
    const dead = new Map(this.people.map(person => [person, new Set(person.dead)]))
    this.#ends = []
    this.#stepsUp = []
    this.#early = []
    const judgements = await Promise.all(group.map(step => this.#take(step)))
    for (const judge of judgements) judge?.(before)
    for (const [person, tokens] of known) this.#settle(person, tokens)
    for (const [what, times] of this.#spent) expect([what, times]).toEqual([what, 1])
    await Promise.all(this.people.map(person => this.#look(person, dead.get(person))))
  }

  /** What must have ended: each end took what was there before, or what had just taken its place. */
  #settle(person: Person, known: readonly string[]): void {
    const stepsUp = this.#stepsUp.filter(step => step.person === person)
    for (const { keep } of this.#ends.filter(end => end.person === person)) {
      for (const token of known) if (token !== keep) this.#bury(person, token)
      for (const { from, to } of stepsUp) if (from !== keep) this.#bury(person, to)
      for (const one of this.#early) if (one.person === person) this.#bury(person, one.token)
    }
    for (const { from } of stepsUp) this.#bury(person, from)
  }

  #bury(person: Person, token: string): void {
    person.dead.add(token)
    person.tokens = person.tokens.filter(one => one !== token)
  }

  /** Whether the service agrees: no dead token works, and no session lives but those that may. */
  async #look(person: Person, seen = new Set<string>()): Promise<void> {
    for (const token of person.dead)
      if (!seen.has(token)) expect((await this.#roster.get('/api/v1/auth/mfa', { token })).status).toBe(401)
    const [state] = await this.#roster.sql(
      `select is_active,
         exists (select from second_factors f where f.user_id = u.id and confirmed_at is not null) as app,
         exists (select from passkeys p where p.user_id = u.id) as key,
         array(select id::text from sessions s where s.user_id = u.id and revoked_at is null) as living
       from users u where id = $1`,
      [person.user.id],
    )
    const allowed = person.tokens.map(token => claimsOf(token).sid)
    expect(state.living.filter((id: string) => !allowed.includes(id))).toEqual([])
    // Of two changes at the same moment, the replies do not tell which was the last.
    const app = state.app ? person.last.app : undefined
    const key = state.key ? person.last.key : undefined
    person.facts = { ...person.facts, active: state.is_active, app, key }
  }

  #take({ kind, who, pick }: Step): Promise<Judge | undefined> {
    const person = this.people[who]
    if (!person) throw new Error('nobody')
    const { password } = person.facts
    const steps: Record<Kind, () => Promise<Judge | undefined>> = {
      login: () => this.#login(person, password),
      wrong_login: () => this.#login(person, `Wrong${pick}Pass`),
      template_login: () => this.#templateLogin(person),
      passkey: () => this.#passkey(person, false),
      verified_passkey: () => this.#passkey(person, true),
      verify: () => this.#verify(pick, 'totp', waiting => this.#codeNow(waiting)),
      wrong_verify: () => this.#verify(pick, 'totp', () => String(pick).padStart(6, '0')),
      replay: () =>
        this.#verify(pick, 'totp', () => this.#typed[pick % (this.#typed.length || 1)] ?? '000000'),
      recover: () =>
        this.#verify(pick, 'recovery_code', ({ person: { facts } }) => facts.codes[pick % 10] ?? 'x'),
      verify_password: () => this.#verifyPassword(pick),
      verify_passkey: () => this.#verifyPasskey(pick),
      enrol: () => this.#enrol(person, pick),
      remove: () => this.#remove(person, pick),
      register_key: () => this.#registerKey(person, pick),
      step_up: () => this.#stepUp(person, pick, { password }),
      step_up_code: () => this.#stepUp(person, pick, { method: 'totp', code: this.#codeNow({ person }) }),
      log_out: () => this.#logOut(person, pick),
      reset: () => this.#reset(person, 'PASSWORD_RESET', 'password-reset-confirm', `Reset${pick}Password`),
      accept_invitation: () =>
        this.#reset(person, 'INVITATION', 'accept-invitation', `Invited${pick}Password`),
      deactivate: () => this.#administer(person, 'deactivate', false),
      restore: () => this.#administer(person, 'restore', true),
      delete_account: () => this.#deleteAccount(person, pick),
      restore_account: () => this.#restoreAccount(person),
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
    const waiting = this.#begun(person, 'password', from, reply)
    return (before: Map<Person, Facts>) => {
      if (waiting) waiting.to = person.facts.epoch
      const mayHave = (rule: (facts: Facts) => boolean) => this.#moments(person, before).some(rule)
      const proved = mayHave(facts => facts.active && facts.password === password)
      if (waiting) expect(proved).toBe(true)
      if (waiting) this.#note('anonymous', 'password', 'second_factor_due')
      if (!this.#arrived(person, reply, 'aal1', 'password')) return
      expect(proved).toBe(true)
      expect(mayHave(({ app, key }) => !app && !key)).toBe(true)
      const { facts } = person
      if (facts.password !== password || facts.app || facts.key) this.#cameBefore(person, reply)
    }
  }

  async #templateLogin(person: Person) {
    const { password } = person.facts
    const reply = await this.#roster.post('/auth/token', { username: person.user.email, password })
    return (before: Map<Person, Facts>) => {
      if (!this.#arrived(person, reply, 'aal1', 'password')) return
      const may = this.#moments(person, before).some(({ active, app, key }) => active && !app && !key)
      expect(may).toBe(true)
    }
  }

  async #passkey(person: Person, userVerified: boolean) {
    const { key, epoch } = person.facts
    if (!key) return undefined
    const options = await this.#roster.post('/api/v1/auth/passkeys/login/options')
    const credential = key.sign(options.body, userVerified)
    const reply = await this.#roster.post('/api/v1/auth/passkeys/login/verify', { credential })
    const waiting = this.#begun(person, 'passkey', epoch, reply)
    return (before: Map<Person, Facts>) => {
      if (waiting) waiting.to = person.facts.epoch
      if (waiting) this.#note('anonymous', 'passkey', 'second_factor_due')
      const arrived = this.#arrived(person, reply, 'aal2', 'passkey')
      if (!waiting && !arrived) return
      expect(this.#moments(person, before).some(facts => facts.active && facts.key === key)).toBe(true)
      // Without its person's proof it is one factor, and everybody here has a password for the other.
      expect(arrived).toBe(userVerified)
    }
  }

  #begun(person: Person, first: Waiting['first'], epoch: number, reply: Reply): Waiting | undefined {
    if (!reply.body?.mfa_required) return undefined
    const { mfa_token: token } = reply.body
    const waiting = { person, token, first, from: epoch, to: epoch, since: this.#now() }
    this.#waiting.push(waiting)
    return waiting
  }

  async #verify(pick: number, method: 'totp' | 'recovery_code', codeOf: (waiting: Waiting) => string) {
    const waiting = this.#waiting[pick % (this.#waiting.length || 1)]
    if (!waiting) return undefined
    const code = codeOf(waiting)
    this.#typed.push(code)
    const at = this.#now()
    return this.#complete(waiting, { method, code }, facts => {
      if (method === 'recovery_code') return facts.codes.includes(code)
      return isCodeOf(facts.app, code, at, this.#now())
    })
  }

  async #verifyPassword(pick: number) {
    const waiting = this.#waiting[pick % (this.#waiting.length || 1)]
    if (!waiting) return undefined
    const { password } = waiting.person.facts
    return this.#complete(
      waiting,
      { method: 'password', password },
      facts => waiting.first === 'passkey' && facts.password === password,
    )
  }

  async #verifyPasskey(pick: number) {
    const waiting = this.#waiting[pick % (this.#waiting.length || 1)]
    const key = waiting?.person.facts.key
    if (!waiting || !key) return undefined
    const method = 'passkey'
    const mfa_token = waiting.token
    const { status, body } = await this.#roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method })
    if (status !== 200) return undefined
    this.#note('second_factor_due', 'challenge', 'second_factor_due')
    const credential = key.sign(body.options, false)
    return this.#complete(
      waiting,
      { method, credential },
      facts => waiting.first === 'password' && facts.key === key,
    )
  }

  /** Gives a second factor, and judges whether what came of it was due. */
  async #complete(
    waiting: Waiting,
    proof: { method: string; code?: string; password?: string; credential?: unknown },
    isRight: (facts: Facts) => boolean,
  ): Promise<Judge> {
    const at = this.#now()
    const reply = await this.#roster.post('/api/v1/auth/mfa/verify', { mfa_token: waiting.token, ...proof })
    return before => {
      const { person, token, from, to, since } = waiting
      if (!this.#arrived(person, reply, 'aal2', 'second_factor')) return
      const isDue = ({ active, epoch }: Facts) => active && epoch >= from && epoch <= Math.max(to, from)
      expect(this.#moments(person, before).some(facts => isDue(facts) && isRight(facts))).toBe(true)
      expect(at - since).toBeLessThan(minutes(10))
      this.#spend(token)
      this.#spendCode(person, proof)
    }
  }

  #codeNow({ person }: { person: Person }): string {
    return person.facts.app?.code(this.#roster.clock.now()) ?? '123456'
  }

  async #enrol(person: Person, pick: number) {
    const token = this.#tokenOf(person, pick)
    if (!token || person.facts.app) return undefined
    const state = this.#stateOf(person, token)
    try {
      const app = await enrolTotp(this.#roster, { token })
      person.last.app = app
      this.#raise(person, token, state)
      this.#change(person, { app }, token)
      const codes = await recoveryCodes(this.#roster, { token })
      if (codes) person.facts = { ...person.facts, codes }
    } catch {
      // The session ended, or is not fresh any more.
    }
    return undefined
  }

  async #registerKey(person: Person, pick: number) {
    const token = this.#tokenOf(person, pick)
    if (!token || person.facts.key) return undefined
    const state = this.#stateOf(person, token)
    try {
      const key = await registerPasskey(this.#roster, { token })
      person.last.key = key
      this.#raise(person, token, state)
      this.#change(person, { key }, token)
    } catch {
      // As above.
    }
    return undefined
  }

  #raise(person: Person, token: string, state: 'enrolment_due' | 'signed_in'): void {
    person.raised.add(token)
    if (state === 'enrolment_due') this.#note(state, 'enrol', 'signed_in')
  }

  async #remove(person: Person, pick: number) {
    const token = this.#tokenOf(person, pick)
    if (!token) return undefined
    const { status } = await this.#roster.delete('/api/v1/auth/mfa/totp', { token })
    if (status !== 204) return undefined
    const codes = person.facts.key ? person.facts.codes : []
    this.#change(person, { app: undefined, codes }, token)
    return undefined
  }

  async #stepUp(
    person: Person,
    pick: number,
    proof: { password: string } | { method: string; code: string },
  ) {
    const from = this.#tokenOf(person, pick)
    if (!from) return undefined
    const at = this.#now()
    const { facts } = person
    const state = this.#stateOf(person, from)
    const reply = await this.#roster.post('/api/v1/auth/step-up', proof, { token: from })
    return (before: Map<Person, Facts>) => {
      const to: string | undefined = reply.body?.access_token
      if (to === undefined) return
      const level = 'code' in proof ? 'aal2' : this.#levelOf(person, from)
      expect(claimsOf(to).aal).toBe(level)
      const isRight = ({ active, password, app }: Facts) =>
        active && ('code' in proof ? isCodeOf(app, proof.code, at, this.#now()) : password === proof.password)
      expect(this.#moments(person, before).some(isRight)).toBe(true)
      this.#spend(`step ${from}`)
      if ('code' in proof) this.#spendCode(person, proof)
      this.#stepsUp.push({ person, from, to })
      person.tokens.push(to)
      this.#note(state, 'step_up', this.#stateOf(person, to, facts))
    }
  }

  async #logOut(person: Person, pick: number) {
    const token = this.#tokenOf(person, pick)
    if (!token) return undefined
    const state = this.#stateOf(person, token)
    const { status } = await this.#roster.post('/api/v1/auth/logout', undefined, { token })
    if (status !== 204) return undefined
    this.#note(state, 'log_out', 'anonymous')
    return () => this.#bury(person, token)
  }

  async #reset(person: Person, purpose: 'PASSWORD_RESET' | 'INVITATION', route: string, password: string) {
    const { verification, store } = this.#roster.services
    const { user } = person
    const proof = { purpose, userId: user.id, target: user.email, counted: false }
    const { token } = await store.transact(trx =>
      verification.issueLink(trx, this.#roster.clock.now(), proof),
    )
    const body = { token, new_password: password }
    const reply = await this.#roster.post(`/api/v1/auth/${route}`, body)
    if (reply.status !== 204) return undefined
    this.#change(person, { password })
    this.#note('anonymous', purpose === 'INVITATION' ? 'accept_invitation' : 'password_reset', 'anonymous')
    return () => expect(reply.text).toBe('')
  }

  async #administer(person: Person, act: 'deactivate' | 'restore', active: boolean) {
    const { status } = await this.#around.administer(`/api/v1/users/${person.user.id}/${act}`)
    if (status < 300) this.#setActive(person, active)
    return undefined
  }

  async #deleteAccount(person: Person, pick: number) {
    const token = this.#tokenOf(person, pick)
    if (!token) return undefined
    const { status } = await this.#roster.delete('/api/v1/users/me', { token })
    if (status !== 204) return undefined
    this.#setActive(person, false)
    person.restoreLink = (await lastSent(this.#roster, person.user.email, 'account_deleted')).restore_link
    return undefined
  }

  async #restoreAccount(person: Person) {
    if (!person.restoreLink) return undefined
    const token = tokenOf(person.restoreLink)
    const { status } = await this.#roster.post('/api/v1/auth/restore-account', { token })
    if (status !== 204) return undefined
    this.#spend(token)
    this.#note('anonymous', 'restore_account', 'anonymous')
    this.#setActive(person, true)
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

  /** Notes a token that a sign-in gave, of the level that was due. */
  #arrived(
    person: Person,
    reply: Reply,
    level: 'aal1' | 'aal2',
    by: 'password' | 'passkey' | 'second_factor',
  ): boolean {
    const token: string | undefined = reply.body?.access_token
    if (token === undefined) return false
    this.arrivals += 1
    expect(claimsOf(token).aal).toBe(level)
    person.tokens.push(token)
    // Any change ends sign-ins that wait, so one that got through came before it.
    if (by === 'second_factor') this.#cameBefore(person, reply)
    const state = this.#stateOf(person, token)
    if (by === 'second_factor') this.#note('second_factor_due', by, state)
    else this.#note('anonymous', by, state)
    return true
  }

  /** It can't have come after a change of its person at the same moment, which has ended its session then. */
  #cameBefore(person: Person, reply: Reply): void {
    this.#early.push({ person, token: reply.body.access_token })
  }

  #change(person: Person, change: Partial<Facts>, keep?: string): void {
    person.facts = { ...person.facts, ...change, epoch: person.facts.epoch + 1 }
    this.#ends.push({ person, ...(keep !== undefined && { keep }) })
  }

  #setActive(person: Person, active: boolean): void {
    person.facts = { ...person.facts, active, epoch: person.facts.epoch + (active ? 0 : 1) }
    if (!active) this.#ends.push({ person })
  }

  /** One of the newest. */
  #tokenOf({ tokens }: Person, pick: number): string | undefined {
    return tokens.at(-1 - (pick % Math.min(tokens.length || 1, 3)))
  }

  #levelOf({ raised }: Person, token: string): 'aal1' | 'aal2' {
    return raised.has(token) ? 'aal2' : claimsOf(token).aal
  }

  #stateOf(person: Person, token: string, { app, key } = person.facts): 'enrolment_due' | 'signed_in' {
    const hasProved = this.#levelOf(person, token) === 'aal2' && (app || key)
    return person.guarded && !hasProved ? 'enrolment_due' : 'signed_in'
  }

  /** Checks that the machine has such an action in such a state, and that it may lead there. */
  #note(state: keyof typeof signInMachine, action: string, to: string): void {
    const declared: Readonly<Record<string, readonly string[]>> = signInMachine[state].actions
    expect(declared[action], `${action} of ${state}`).toContain(to)
    this.#around.taken.add(`${state}: ${action}`)
  }

  #spendCode({ user, facts }: Person, { method, code }: { method: string; code?: string }): void {
    if (code !== undefined)
      this.#spend(`${user.id} ${method} ${code} ${method === 'totp' ? facts.epoch : ''}`)
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

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
