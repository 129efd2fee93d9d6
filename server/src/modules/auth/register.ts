import { normalisePassword } from '../../hashing/candidates.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import { addressGroup } from '../../http/client-address.ts'
import { checkAll } from '../../http/field-rules.ts'
import { can, type Principal } from '../../http/principal.ts'
import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import { emailKey } from '../../lib/text.ts'
import { defaultRole, grantRole, refuseRolesBeyond } from '../access/index.ts'
import type { Origin } from '../audit/index.ts'
import { createUser, type NewUser, readFields, readNewUser } from '../users/index.ts'
import { unlessLimited } from './owner.ts'
import { checkNewPassword, type PasswordPolicy } from './password-policy.ts'
import { type PrivateRegistrationDeps, registerLater } from './private-registration.ts'
import type { Registration } from './schemas.ts'
import { sendVerificationMail } from './verification-mail.ts'
import { offeringReturn } from './way-back.ts'

export type RegisterDeps = PrivateRegistrationDeps & {
  hasher: PasswordHasher
  passwordPolicy: PasswordPolicy
  registration: 'open' | 'closed'
  registrationPrivacy: boolean
}

/** A registration that breaks no rule, with its password hashed. */
export type AcceptedRegistration = {
  user: NewUser
  roles: readonly string[]
  /** Which of them came as `role`. */
  role?: string | undefined
}

/**
 * Registers a user, and sends them the mail that proves their address. Whoever holds `users:create` may also
 * set what is otherwise the default.
 * @returns the new id; undefined where REGISTRATION_PRIVACY leaves the rest to a job
 * @throws ProblemError registration_closed, step_up_required (for roles or a proved address), forbidden_field, validation_failed, email_taken, username_taken,
 *   phone_taken, service_busy
 */
export async function register(
  deps: RegisterDeps,
  origin: Origin,
  principal: Principal | undefined,
  input: Registration,
): Promise<string | undefined> {
  const creator = can(principal, 'users:create') ? principal : undefined
  const accepted = await accept(deps, creator, input, origin.ip)
  if (!deps.registrationPrivacy || creator)
    return offeringReturn(deps, accepted.user.email, () => createRegistered(deps, origin, accepted))
  await registerLater(deps, origin, accepted)
  return undefined
}

async function accept(
  deps: RegisterDeps,
  creator: Principal | undefined,
  input: Registration,
  address = 'none',
): Promise<AcceptedRegistration> {
  if (deps.registration === 'closed' && !creator) throw new ProblemError('registration_closed')
  const roles = askedRoles(input)
  if (!creator) refusePrivileged(input)
  checkRegistration(deps, input)
  const user = readNewUser(deps, input)
  const password = normalisePassword(input.password)
  if (creator && (roles.length > 0 || input.email_verified)) {
    requireStepUp('highest', creator, deps.clock.now())
  }
  if (creator) await refuseRolesBeyond(deps.store.db, creator, roles, fieldOf(input.role))
  const { email, username, full_name, first_name, last_name, phone_number, is_active, email_verified } = user
  const fields = {
    email,
    username,
    full_name,
    first_name,
    last_name,
    phone_number,
    is_active,
    email_verified,
  }
  return {
    user: { ...fields, password_hash: await deps.hasher.hash(password, { address: addressGroup(address) }) },
    roles,
    role: input.role,
  }
}

/**
 * Writes an accepted registration.
 * @returns the new id
 * @throws ProblemError email_taken, username_taken, phone_taken
 */
export function createRegistered(
  deps: PrivateRegistrationDeps,
  origin: Origin,
  { user, roles, role: single }: AcceptedRegistration,
): Promise<string> {
  return deps.store.transact(async trx => {
    const at = deps.clock.now()
    await deps.verification.lockTarget(trx, at, emailKey(user.email) ?? '')
    const userId = await createUser(deps, trx, at, origin, user)
    const field = fieldOf(single)
    for (const role of roles) await grantRole(trx, at, origin, { userId, role, field: field(role) })
    if (!user.email_verified) {
      const recipient = { id: userId, email: user.email, name: user.full_name ?? user.username ?? null }
      await unlessLimited(() => sendVerificationMail(deps, trx, at, recipient, 'owner'))
    }
    return userId
  })
}

/** The roles beyond the default one that a registration asks for. */
const askedRoles = ({ role, roles = [] }: Registration): string[] =>
  [...new Set([...roles, ...(role === undefined ? [] : [role])])].filter(name => name !== defaultRole)

/** The field that asked for a role. */
const fieldOf = (single: string | undefined) => (role: string) => (role === single ? 'role' : 'roles')

/** Nobody gives themselves more than the default, and the reply says which field tried to. */
function refusePrivileged(input: Registration): void {
  const more: (keyof Registration)[] = []
  if (input.role !== undefined && input.role !== defaultRole) more.push('role')
  if (input.roles?.some(name => name !== defaultRole)) more.push('roles')
  if (input.is_active === false) more.push('is_active')
  if (input.email_verified === true) more.push('email_verified')
  if (more.length === 0) return
  const errors: FieldError[] = more.map(field => ({
    path: `/${field}`,
    code: 'forbidden_field',
    message: `${field} needs the permission users:create`,
  }))
  throw new ProblemError('forbidden_field', { errors })
}

/**
 * What a registration must keep to beside its schema; fields may be missing.
 * @throws ProblemError validation_failed that names every bad field
 */
export function checkRegistration(
  deps: Pick<RegisterDeps, 'passwordPolicy' | 'isReservedUsername'>,
  input: Partial<Registration>,
): void {
  const { password, confirm_password, email, username, full_name, first_name, last_name } = input
  checkAll(
    () => readFields({ ...input }, deps.isReservedUsername),
    () => checkConfirmation(password, confirm_password),
    () =>
      password === undefined ||
      checkNewPassword(deps.passwordPolicy, normalisePassword(password), {
        email,
        username,
        names: [full_name, first_name, last_name],
      }),
  )
}

function checkConfirmation(password?: string, confirmed?: string): void {
  if (password === undefined || confirmed === undefined) return
  if (normalisePassword(confirmed) === normalisePassword(password)) return
  throw new ProblemError('validation_failed', {
    errors: [
      { path: '/confirm_password', code: 'mismatch', message: 'confirm_password must equal password' },
    ],
  })
}
