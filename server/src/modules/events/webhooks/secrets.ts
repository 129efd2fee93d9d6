import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { hours } from '../../../lib/clock.ts'
import { seal, unseal } from '../../../lib/secrets.ts'

/** Milliseconds for which a replaced secret still signs beside the new one. */
export const rotationTime = hours(24)

/** `whsec_` and 32 random bytes, as Standard Webhooks has them. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

export const sealSecret = (key: Buffer, endpointId: string, secret: string): Buffer =>
  seal(key, secret, `webhook:${endpointId}`)

const openSecret = (key: Buffer, endpointId: string, sealed: Buffer): string =>
  unseal(key, sealed, `webhook:${endpointId}`).toString()

export type SealedSecrets = {
  secret_sealed: Buffer
  previous_secret_sealed: Buffer | null
  previous_secret_expires_at: Date | null
}

/** The headers of a message (Standard Webhooks 1.0): during a rotation it is signed with both secrets. */
export function signedHeaders(
  key: Buffer,
  endpoint: { id: string; secrets: SealedSecrets },
  message: { id: string; body: string; now: Date },
): Record<string, string> {
  const { secret_sealed, previous_secret_sealed, previous_secret_expires_at } = endpoint.secrets
  const isRotating =
    previous_secret_sealed && previous_secret_expires_at && previous_secret_expires_at > message.now
  const sealed = isRotating ? [secret_sealed, previous_secret_sealed] : [secret_sealed]
  const signatures = sealed.map(one =>
    new Webhook(openSecret(key, endpoint.id, one)).sign(message.id, message.now, message.body),
  )
  return {
    'content-type': 'application/json',
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(message.now.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  }
}
