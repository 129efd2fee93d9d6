import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import type { Tx } from '../../db/store.ts'
import type { MfaChange } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import {
  type EnrolledMethod,
  type Method,
  methodReference,
  type PasskeyView,
  readPasskeyName,
  type TotpSetup,
} from '../factors/index.ts'
import { describeDevice } from '../sessions/index.ts'
import { type LockedUser, readFields, setMfaEnabled } from '../users/index.ts'
import { lockActingUser } from './acting-user.ts'
import { endAccess } from './end-access.ts'
import { tellOfMfaChange } from './notices.ts'
import type { SecondFactorDeps } from './second-factor.ts'

/* Second factors of the signed-in user. The guard has asked for the highest proof there is, and a recent one. */

/** @throws ProblemError mfa_already_enrolled */
export const beginTotp = (deps: SecondFactorDeps, principal: Principal): Promise<TotpSetup> =>
  withUser(deps, principal, (trx, at, user) => deps.factors.beginTotp(trx, at, user))

/** @returns where the code went. @throws ProblemError validation_failed, mfa_already_enrolled, otp_…, sms_unavailable */
export async function beginSms(
  deps: SecondFactorDeps,
  principal: Principal,
  number: string,
): Promise<string> {
  const { phone_number: phone } = readFields({ phone_number: number })
  return withUser(deps, principal, async (trx, at, user) => {
    await deps.factors.beginSms(trx, at, user, phone)
    return phone
  })
}

/** @returns where the code went. @throws ProblemError mfa_already_enrolled, otp_… */
export const beginEmail = (deps: SecondFactorDeps, principal: Principal): Promise<string> =>
  withUser(deps, principal, async (trx, at, user) => {
    await deps.factors.beginEmail(trx, at, user)
    return user.email
  })

/**
 * Enrols a factor that was begun. This session counts as one with two factors from here on; others end.
 * @throws ProblemError mfa_not_begun, invalid_code, too_many_attempts, otp_cooldown
 */
export async function confirmFactor(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  method: EnrolledMethod,
  code: string,
): Promise<void> {
  const { userId } = principal
  const attempt = await deps.lockout.reserve(userId, method, { address: origin.ip })
  const confirmed = await attempt.during(() =>
    withUser(deps, principal, async (trx, at, user) => {
      if (!(await deps.factors.confirm(trx, at, user, method, code))) {
        await attempt.failed(trx)
        await appendAudit(trx, at, origin, { ...entry(userId, 'mfa.enrolled', method), outcome: 'failure' })
        return false
      }
      await attempt.succeeded(trx)
      await raise(deps, trx, at, principal, method)
      await factorAdded(deps, trx, at, origin, principal, user, method, `${method}_added`)
      return true
    }),
  )
  if (!confirmed) throw new ProblemError('invalid_code')
}

/** @throws ProblemError not_found where it is not enrolled */
export async function removeFactor(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  method: EnrolledMethod,
): Promise<void> {
  await withUser(deps, principal, async (trx, at, user) => {
    if (!(await deps.factors.remove(trx, user.id, method))) throw new ProblemError('not_found')
    await factorRemoved(deps, trx, at, origin, principal, user, method, `${method}_removed`)
  })
}

/** Ten new recovery codes, in place of any before. @throws ProblemError mfa_not_enrolled */
export function createRecoveryCodes(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
): Promise<string[]> {
  return withUser(deps, principal, async (trx, at, user) => {
    if (!user.mfa_enabled) throw new ProblemError('mfa_not_enrolled')
    const codes = await deps.factors.createRecoveryCodes(trx, at, user.id)
    await appendAudit(trx, at, origin, entry(user.id, 'mfa.recovery_codes_created', 'recovery_code'))
    await tellOfMfaChange(deps.outbound, trx, user, 'recovery_codes_created')
    return codes
  })
}

/**
 * Keeps a passkey that the user's authenticator made; without a name, under that of the device.
 * @throws ProblemError validation_failed, invalid_passkey, passkey_taken, conflict (there are too many)
 */
export function registerPasskey(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  credential: RegistrationResponseJSON,
  name: string | undefined,
): Promise<PasskeyView> {
  const given =
    name === undefined ? describeDevice(origin.userAgent ?? null).device_name : readPasskeyName(name)
  return deps.passkeys.register(principal.userId, credential, given, async (trx, insert) => {
    const at = deps.clock.now()
    const { user } = await lockActingUser(deps, trx, at, principal)
    await insert(at)
    await raise(deps, trx, at, principal, 'passkey')
    await factorAdded(deps, trx, at, origin, principal, user, 'passkey', 'passkey_added')
  })
}

/** @throws ProblemError validation_failed, not_found */
export function renamePasskey(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  id: string,
  name: string,
): Promise<PasskeyView> {
  const given = readPasskeyName(name)
  return withUser(deps, principal, async (trx, at, user) => {
    const renamed = await deps.passkeys.rename(trx, user.id, id, given)
    if (!renamed) throw new ProblemError('not_found')
    await appendAudit(trx, at, origin, {
      action: 'passkey.renamed',
      subject: { type: 'user', id: user.id },
      changedFields: ['name'],
      details: { passkey_id: id },
    })
    return renamed
  })
}

/** @throws ProblemError not_found */
export async function removePasskey(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  id: string,
): Promise<void> {
  await withUser(deps, principal, async (trx, at, user) => {
    if (!(await deps.passkeys.remove(trx, user.id, id))) throw new ProblemError('not_found')
    await factorRemoved(deps, trx, at, origin, principal, user, 'passkey', 'passkey_removed')
  })
}

/**
 * Takes every second factor and passkey away: from one who lost them, or with the account. End their access with
 * it. False where there were none.
 */
export async function dropFactors(
  { factors }: Pick<SecondFactorDeps, 'factors'>,
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
): Promise<boolean> {
  await factors.removeAll(trx, userId)
  if (!(await setMfaEnabled(trx, userId, false))) return false
  await appendAudit(trx, at, origin, { action: 'mfa.removed', subject: { type: 'user', id: userId } })
  await appendEvent(trx, at, {
    type: 'user.mfa_disabled',
    userId,
    data: { userId, method: 'all', disabledAt: at.toISOString() },
  })
  return true
}

/** @throws ProblemError invalid_token where the session ended meanwhile */
function withUser<T>(
  deps: SecondFactorDeps,
  principal: Principal,
  change: (trx: Tx, at: Date, user: LockedUser) => Promise<T>,
): Promise<T> {
  return deps.store.transact(async trx => {
    const at = deps.clock.now()
    const { user } = await lockActingUser(deps, trx, at, principal)
    return change(trx, at, user)
  })
}

/** The factor was proved by enrolling it. */
const raise = ({ sessions }: SecondFactorDeps, trx: Tx, at: Date, { sessionId }: Principal, method: Method) =>
  sessions.raise(trx, at, { sessionId, methods: [methodReference[method], 'mfa'] })

const entry = (userId: string, action: string, method: Method) => ({
  action,
  subject: { type: 'user', id: userId },
  details: { method },
})

async function factorAdded(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  principal: Principal,
  user: LockedUser,
  method: Method,
  change: MfaChange,
): Promise<void> {
  await appendAudit(trx, at, origin, entry(user.id, 'mfa.enrolled', method))
  if (await setMfaEnabled(trx, user.id, true)) {
    await appendEvent(trx, at, {
      type: 'user.mfa_enabled',
      userId: user.id,
      data: { userId: user.id, method, enabledAt: at.toISOString() },
    })
  }
  await factorsChanged(deps, trx, at, origin, principal, user, change)
}

async function factorRemoved(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  principal: Principal,
  user: LockedUser,
  method: Method,
  change: MfaChange,
): Promise<void> {
  await appendAudit(trx, at, origin, entry(user.id, 'mfa.removed', method))
  if (!(await deps.factors.isEnrolled(trx, user.id))) {
    await deps.factors.removeRecoveryCodes(trx, user.id)
    await setMfaEnabled(trx, user.id, false)
    await appendEvent(trx, at, {
      type: 'user.mfa_disabled',
      userId: user.id,
      data: { userId: user.id, method, disabledAt: at.toISOString() },
    })
  }
  await factorsChanged(deps, trx, at, origin, principal, user, change)
}

/** What every change of factors brings: other sessions and sign-ins under way end, and the user is told. */
async function factorsChanged(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  { sessionId }: Principal,
  user: LockedUser,
  change: MfaChange,
): Promise<void> {
  await endAccess(deps, trx, at, origin, { userId: user.id, reason: 'mfa_changed', except: sessionId })
  await tellOfMfaChange(deps.outbound, trx, user, change)
}
