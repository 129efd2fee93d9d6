import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Db, Store, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { inBatches } from '../../lib/batches.ts'
import { addTime, type Clock, minutes } from '../../lib/clock.ts'
import { uuidToBytes, uuidv7 } from '../../lib/ids.ts'
import { randomToken, sha256 } from '../../lib/secrets.ts'
import * as repo from './repo.ts'

/** With its ASN.1 it is a fifth of what a process at rest would hold: loaded with the first passkey. */
const webAuthn = () => import('@simplewebauthn/server')

/** What a challenge was made for: the answer to one is no answer to another. */
export type ChallengePurpose = Registration | 'sign_in' | 'second_factor' | 'step_up'

/** With conditional mediation the browser makes a passkey by itself, and nobody need be present. */
type Registration = 'register' | 'register_conditional'

export type PasskeyView = {
  id: string
  name: string
  created_at: string
  last_used_at: string | null
  is_synced: boolean
  transports: string[]
}

/** A signature that holds. Whose it is; whether the authenticator verified its person (PIN, fingerprint …). */
export type VerifiedPasskey = {
  userId: string
  passkeyId: string
  userVerified: boolean
  /** Whether the password goes with it: its owner may have used the account before the owner of the address. */
  isDoubted: boolean
  counter: number
  isSynced: boolean
}

export type Passkeys = {
  /** @param isConditional whether the client will ask with `mediation: 'conditional'` */
  registrationOptions(
    user: { id: string; username: string; full_name: string | null },
    isConditional: boolean,
  ): Promise<PublicKeyCredentialCreationOptionsJSON>
  /**
   * Checks an answer: challenge, type, origin, RP id, user presence and algorithm (WebAuthn Level 3, section 7.1).
   * If it holds, `keep` locks the user and inserts the passkey into its transaction.
   * @throws ProblemError invalid_passkey, passkey_taken, conflict (there are too many)
   */
  register(
    userId: string,
    response: RegistrationResponseJSON,
    name: string,
    keep: (trx: Tx, insert: (at: Date) => Promise<void>) => Promise<void>,
  ): Promise<PasskeyView>
  /** Without a user: for any passkey that the authenticator finds, also as a suggestion in a form field. */
  authenticationOptions(
    purpose: ChallengePurpose,
    userId?: string,
  ): Promise<PublicKeyCredentialRequestOptionsJSON>
  /**
   * Checks an answer (section 7.2) and uses its challenge up. Undefined where anything is wrong. What came of
   * it is written by {@link recordUse}.
   */
  verify(
    purpose: ChallengePurpose,
    response: AuthenticationResponseJSON,
    userId?: string,
  ): Promise<VerifiedPasskey | undefined>
  /** Whether a credential id, in base64url, is that of any passkey. */
  isKnown(credentialId: string): Promise<boolean>
  /** `behind` where the counter went back: a copy of the key is about. */
  recordUse(trx: Tx, at: Date, used: VerifiedPasskey): Promise<repo.PasskeyUse>
  list(userId: string): Promise<PasskeyView[]>
  rename(trx: Tx, userId: string, id: string, name: string): Promise<PasskeyView | undefined>
  remove(trx: Tx, userId: string, id: string): Promise<boolean>
  cleanUp(): Promise<void>
}

/** Whoever asks was erased since the guard let them pass. */
const userGone: ConstraintProblems = { passkey_challenges_user_id_fkey: 'invalid_token' }

const taken: ConstraintProblems = { passkeys__credential_unique: 'passkey_taken' }
const challengeLifetime = minutes(5)

/** COSE: Ed25519, ECDSA on P-256, RSA with SHA-256. Every authenticator has one of them. */
const supportedAlgorithmIDs = [-8, -7, -257]

/** Passkeys that one user may have. */
const most = 20

export function createPasskeys(deps: {
  store: Store
  clock: Clock
  publicUrl: string
  allowedOrigins: '*' | readonly string[]
  passkeyOrigins: readonly string[]
  rpName: string
}): Passkeys {
  const { store, clock, rpName } = deps
  const { hostname: rpID, origin } = new URL(deps.publicUrl)
  const listed = deps.allowedOrigins === '*' ? [] : deps.allowedOrigins
  const expectedOrigin = [origin, ...listed, ...deps.passkeyOrigins]

  async function newChallenge(purpose: ChallengePurpose, userId?: string): Promise<Uint8Array<ArrayBuffer>> {
    const challenge = randomToken(32)
    const kept = {
      challenge_hash: sha256(challenge),
      purpose,
      user_id: userId ?? null,
      expires_at: addTime(clock.now(), challengeLifetime),
    }
    await orConflict(userGone, () => repo.insertChallenge(store.db, kept))
    return new Uint8Array(Buffer.from(challenge, 'base64url'))
  }

  /** The challenge that an answer is to, if it was given for one of these: used up from here on. */
  async function takeChallenge<P extends ChallengePurpose>(
    clientDataJSON: string,
    purposes: readonly P[],
    userId: string | undefined,
  ): Promise<{ challenge: string; purpose: P } | undefined> {
    const challenge = challengeOf(clientDataJSON)
    if (!challenge) return undefined
    const kept = await repo.takeChallenge(store.db, sha256(challenge), clock.now())
    const purpose = purposes.find(one => one === kept?.purpose)
    return purpose && kept?.user_id === (userId ?? null) ? { challenge, purpose } : undefined
  }

  const descriptors = async (db: Db, userId: string) =>
    (await repo.listPasskeys(db, userId)).map(row => ({
      id: row.credential_id.toString('base64url'),
      transports: row.transports,
    }))

  return {
    async registrationOptions({ id, username, full_name }, isConditional) {
      const excludeCredentials = await descriptors(store.db, id)
      refuseMore(excludeCredentials.length)
      const { generateRegistrationOptions } = await webAuthn()
      return generateRegistrationOptions({
        rpName,
        rpID,
        userID: new Uint8Array(uuidToBytes(id)),
        userName: username,
        userDisplayName: full_name ?? username,
        challenge: await newChallenge(isConditional ? 'register_conditional' : 'register', id),
        excludeCredentials,
        supportedAlgorithmIDs,
        // Not required: a plain security key still makes a second factor.
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' },
      })
    },

    async register(userId, response, name, keep) {
      const { clientDataJSON } = response.response
      const asked = await takeChallenge(clientDataJSON, ['register', 'register_conditional'], userId)
      if (asked === undefined) throw new ProblemError('invalid_passkey')
      const { verifyRegistrationResponse } = await webAuthn()
      const { verified, registrationInfo } = await unlessRefused(() =>
        verifyRegistrationResponse({
          response,
          expectedChallenge: asked.challenge,
          expectedOrigin,
          expectedRPID: rpID,
          requireUserPresence: asked.purpose === 'register',
          requireUserVerification: false,
          supportedAlgorithmIDs,
        }),
      )
      if (!verified) throw new ProblemError('invalid_passkey')
      const { credential, credentialBackedUp } = registrationInfo
      const id = uuidv7(clock.now())
      await store.transact(trx =>
        keep(trx, async at => {
          refuseMore((await repo.listPasskeys(trx, userId)).length)
          await orConflict(taken, () =>
            repo.insertPasskey(trx, {
              id,
              user_id: userId,
              credential_id: Buffer.from(credential.id, 'base64url'),
              public_key: Buffer.from(credential.publicKey),
              counter: credential.counter,
              transports: [...(credential.transports ?? [])],
              is_synced: credentialBackedUp,
              name,
              created_at: at,
            }),
          )
        }),
      )
      const kept = (await repo.listPasskeys(store.db, userId)).find(row => row.id === id)
      if (!kept) throw new ProblemError('conflict')
      return toView(kept)
    },

    async authenticationOptions(purpose, userId) {
      const { generateAuthenticationOptions } = await webAuthn()
      return generateAuthenticationOptions({
        rpID,
        challenge: await newChallenge(purpose, userId),
        userVerification: 'preferred',
        ...(userId !== undefined && { allowCredentials: await descriptors(store.db, userId) }),
      })
    },

    async verify(purpose, response, userId) {
      const asked = await takeChallenge(response.response.clientDataJSON, [purpose], userId)
      const passkey = await repo.findPasskey(store.db, Buffer.from(response.id, 'base64url'))
      if (asked === undefined || !passkey) return undefined
      if (userId !== undefined && passkey.user_id !== userId) return undefined
      if (!isHandleOf(passkey.user_id, response.response.userHandle)) return undefined
      const { verifyAuthenticationResponse } = await webAuthn()
      try {
        const { verified, authenticationInfo } = await verifyAuthenticationResponse({
          response,
          expectedChallenge: asked.challenge,
          expectedOrigin,
          expectedRPID: rpID,
          requireUserVerification: false,
          // The counter is judged in recordUse(), where of two at once one wins.
          credential: { id: response.id, publicKey: new Uint8Array(passkey.public_key), counter: 0 },
        })
        if (!verified) return undefined
        return {
          userId: passkey.user_id,
          passkeyId: passkey.id,
          userVerified: authenticationInfo.userVerified,
          isDoubted: passkey.is_doubted,
          counter: authenticationInfo.newCounter,
          isSynced: authenticationInfo.credentialBackedUp,
        }
      } catch {
        return undefined // the library throws for whatever does not hold
      }
    },

    isKnown: async credentialId =>
      (await repo.findPasskey(store.db, Buffer.from(credentialId, 'base64url'))) !== undefined,

    recordUse: (trx, at, { passkeyId, counter, isSynced }) =>
      repo.recordPasskeyUse(trx, passkeyId, { counter, isSynced, at }),

    list: async userId => (await repo.listPasskeys(store.db, userId)).map(toView),

    async rename(trx, userId, id, name) {
      const row = await repo.renamePasskey(trx, userId, id, name)
      return row && toView(row)
    },

    remove: repo.deletePasskey,
    async cleanUp() {
      const at = clock.now()
      await inBatches(limit => repo.deleteExpiredChallenges(store.db, at, limit))
    },
  }
}

/** Asked again at the end, under the user's lock: many may have been begun at once. */
function refuseMore(count: number): void {
  if (count >= most) throw new ProblemError('conflict', { detail: `Nobody has more than ${most} passkeys.` })
}

function challengeOf(clientDataJSON: string): string | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString())
    const isData = typeof data === 'object' && data !== null && 'challenge' in data
    return isData && typeof data.challenge === 'string' ? data.challenge : undefined
  } catch {
    return undefined
  }
}

async function unlessRefused<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify()
  } catch (cause) {
    throw new ProblemError('invalid_passkey', { cause })
  }
}

/** The user handle that an authenticator keeps is the user's id. Not all send it. */
const isHandleOf = (userId: string, handle: string | undefined): boolean =>
  handle === undefined || Buffer.from(handle, 'base64url').equals(uuidToBytes(userId))

const toView = (row: repo.PasskeyRow): PasskeyView => ({
  id: row.id,
  name: row.name,
  created_at: row.created_at.toISOString(),
  last_used_at: row.last_used_at?.toISOString() ?? null,
  is_synced: row.is_synced,
  transports: row.transports,
})
