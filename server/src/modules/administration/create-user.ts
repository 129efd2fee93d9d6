import type { Tx } from '../../db/store.ts'
import { hashBounds, isTooDear, readHash, standardForm } from '../../hashing/stored-hash.ts'
import { checkAll } from '../../http/field-rules.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import { emailKey } from '../../lib/text.ts'
import { defaultRole, grantRole, refuseRolesBeyond } from '../access/index.ts'
import type { Origin } from '../audit/index.ts'
import { offeringReturn } from '../auth/index.ts'
import { createUser, readNewUser, type UsernameDeps } from '../users/index.ts'
import type { AdministrationDeps } from './deps.ts'
import type { UserCreation } from './schemas.ts'

/**
 * Creates a user, who gets a mail with a link for choosing a password; or with the hash of the one they had
 * elsewhere, and no mail. Nobody invites into rights they lack.
 * @returns the new id
 * @throws ProblemError validation_failed, step_up_required (for roles, a hash or a proved address), forbidden, email_taken, username_taken, phone_taken
 */
export async function createByAdministrator(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  input: UserCreation,
): Promise<string> {
  const { role, roles = [], password_hash } = input
  const { user, imported } = readNewAccount(deps, input)
  const asked = new Set(
    [...roles, ...(role === undefined ? [] : [role])].filter(name => name !== defaultRole),
  )
  if (asked.size > 0 || password_hash !== undefined || user.email_verified) {
    requireStepUp('highest', principal, deps.clock.now())
  }
  const fieldOf = (name: string) => (name === role ? 'role' : 'roles')
  const { store, clock, users } = deps
  const inviter = await users.read(principal.userId)
  const create = async (trx: Tx): Promise<string> => {
    const at = clock.now()
    await refuseRolesBeyond(trx, principal, [...asked], fieldOf)
    await deps.verification.lockTarget(trx, at, emailKey(user.email) ?? '')
    const userId = await createUser(deps, trx, at, origin, { ...user, password_hash: imported })
    if (imported !== undefined) await store.announce(trx, { kind: 'password_hashes' })
    for (const name of [...asked].sort()) {
      await grantRole(trx, at, origin, { userId, role: name, field: fieldOf(name) })
    }
    if (password_hash === undefined && user.is_active !== false) {
      await invite(deps, { trx, at, userId, inviter: inviter.full_name ?? inviter.username, ...user })
    }
    return userId
  }
  return offeringReturn(deps, user.email, () => store.transact(create))
}

/** The fields of a new account in kept form. @throws ProblemError validation_failed that names every bad one */
export function readNewAccount(
  deps: UsernameDeps,
  { role: _, roles: __, password_hash, ...fields }: UserCreation,
) {
  const readHashed = () => (password_hash === undefined ? undefined : readPasswordHash(password_hash))
  checkAll(() => readNewUser(deps, fields), readHashed)
  return { user: readNewUser(deps, fields), imported: readHashed() }
}

/** The form in which a hash from elsewhere is kept. @throws ProblemError validation_failed */
function readPasswordHash(text: string): string {
  const hash = standardForm(text.trim())
  const stored = readHash(hash)
  if (!stored) {
    throw refusedHash(
      'password_hash',
      'takes an argon2, bcrypt, scrypt or PBKDF2 hash as a PHC or crypt string',
    )
  }
  if (isTooDear(stored)) {
    throw refusedHash('password_hash_cost', `costs more to check than is borne; takes ${hashBounds}`)
  }
  return hash
}

const refusedHash = (code: string, message: string): ProblemError =>
  new ProblemError('validation_failed', { errors: [{ path: '/password_hash', code, message }] })

type Invited = {
  trx: Tx
  at: Date
  userId: string
  inviter: string
  email: string
  full_name?: string | undefined
}

async function invite(
  { verification, outbound }: AdministrationDeps,
  { trx, at, userId, inviter, email, full_name }: Invited,
): Promise<void> {
  const { url } = await verification.issueLink(trx, at, {
    purpose: 'INVITATION',
    userId,
    target: emailKey(email) ?? '',
  })
  await outbound.mail(trx, {
    template: 'invitation',
    to: email,
    userId,
    data: { name: full_name ?? null, link: url, inviter },
  })
}
