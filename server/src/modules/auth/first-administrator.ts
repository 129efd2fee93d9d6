import { randomBytes } from 'node:crypto'
import type { Store, Tx } from '../../db/store.ts'
import { normalisePassword } from '../../hashing/candidates.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import { checkAll } from '../../http/field-rules.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalInConstantTime, hmacSha256 } from '../../lib/secrets.ts'
import {
  adminRole,
  grantRole,
  hasAdministrator,
  lockAdministration,
  roleNeedsSecondFactor,
} from '../access/index.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Attempt, Lockout } from '../lockout/index.ts'
import { createUser, readNewUser, type UsernameDeps } from '../users/index.ts'
import { checkNewPassword, type PasswordPolicy } from './password-policy.ts'
import { deleteSetupCode, keepSetupCode } from './repo.ts'

export type AdministratorDeps = UsernameDeps & {
  store: Store
  clock: Clock
  hasher: PasswordHasher
  passwordPolicy: PasswordPolicy
  lockout: Lockout
  /** Makes set-up codes out of what the database keeps: the database alone does not give one away. */
  setupKey: Buffer
}

export type NewAdministrator = {
  email: string
  password: string
  username?: string | undefined
  full_name?: string | undefined
}

/**
 * The one-time code by which the first administrator is made; undefined once there is one. The same for every
 * process and every start until it is used, so that a code that somebody wrote down still works.
 */
export async function setupCode({ store, clock, setupKey }: AdministratorDeps): Promise<string | undefined> {
  if (await hasAdministrator(store.db)) return undefined
  return codeFor(setupKey, await keepSetupCode(store.db, randomBytes(16), clock.now()))
}

/**
 * Makes the first administrator for whoever has the code, and uses it up. Of several at once one succeeds.
 * @returns the new id
 * @throws ProblemError setup_unavailable, invalid_setup_code, too_many_attempts, and what registration throws
 */
export async function setUpAdministrator(
  deps: AdministratorDeps,
  origin: Origin,
  code: string,
  input: NewAdministrator,
): Promise<string> {
  if (await hasAdministrator(deps.store.db)) throw new ProblemError('setup_unavailable')
  const attempt = await deps.lockout.reserve(undefined, 'setup', { address: origin.ip })
  const id = await attempt.during(() => createFirst(deps, origin, code, input, attempt))
  return id ?? refuse(deps, origin, attempt)
}

/** The new id; undefined for a wrong code. */
async function createFirst(
  deps: AdministratorDeps,
  origin: Origin,
  code: string,
  input: NewAdministrator,
  attempt: Attempt,
): Promise<string | undefined> {
  try {
    return await createAdministrator(deps, origin, input, async trx => {
      if (await hasAdministrator(trx)) throw new ProblemError('setup_unavailable')
      const nonce = await deleteSetupCode(trx)
      if (!nonce || !equalInConstantTime(code, codeFor(deps.setupKey, nonce))) {
        throw new ProblemError('invalid_setup_code')
      }
      await attempt.succeeded(trx)
    })
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'invalid_setup_code') return undefined
    throw error
  }
}

async function refuse({ store, clock }: AdministratorDeps, origin: Origin, attempt: Attempt): Promise<never> {
  await store.transact(async trx => {
    await appendAudit(trx, clock.now(), origin, { action: 'administrator.set_up', outcome: 'denied' })
    await attempt.failed(trx)
  })
  throw new ProblemError('invalid_setup_code')
}

/**
 * Makes an administrator for somebody at the machine's command line.
 * @returns the new id
 */
export function createAdministratorByOperator(
  deps: AdministratorDeps,
  input: NewAdministrator,
): Promise<string> {
  return createAdministrator(deps, { actorType: 'operator' }, input, async trx => {
    await deleteSetupCode(trx)
  })
}

async function createAdministrator(
  deps: AdministratorDeps,
  origin: Origin,
  input: NewAdministrator,
  admit: (trx: Tx) => Promise<void>,
): Promise<string> {
  const { store, clock, hasher, passwordPolicy } = deps
  const needsSecondFactor = await roleNeedsSecondFactor(store.db, adminRole)
  const password = normalisePassword(input.password)
  checkAll(
    () => readNewUser(deps, input),
    () =>
      checkNewPassword(passwordPolicy, password, { ...input, names: [input.full_name], needsSecondFactor }),
  )
  const user = readNewUser(deps, input)
  const password_hash = await hasher.hash(password)
  return store.transact(async trx => {
    const at = clock.now()
    await lockAdministration(trx)
    await admit(trx)
    const userId = await createUser(deps, trx, at, origin, { ...user, password_hash, email_verified: true })
    await grantRole(trx, at, origin, { userId, role: adminRole })
    return userId
  })
}

const codeFor = (setupKey: Buffer, nonce: Buffer): string =>
  hmacSha256(setupKey, nonce).subarray(0, 18).toString('base64url')
