import type { Db, Tx } from '../../db/store.ts'
import { addressGroup } from '../../http/client-address.ts'
import { addTime, days } from '../../lib/clock.ts'
import { sha256 } from '../../lib/secrets.ts'
import { markOfDevice } from './device.ts'
import { listDevices, rememberDevice } from './repo.ts'

/**
 * Remembers the device of a sign-in. A browser in browser mode is known by a cookie of its own; anything else
 * as `markOfDevice` says.
 * @returns whether the user should be told: they signed in before, and never from here
 */
export async function noteDevice(
  trx: Tx,
  at: Date,
  device: {
    userId: string
    userAgent: string | undefined
    ip: string | undefined
    cookie: string | undefined
  },
): Promise<boolean> {
  const network = addressGroup(device.ip ?? '')
  const mark =
    device.cookie === undefined ? markOfDevice(device.userAgent, network) : `cookie ${device.cookie}`
  return rememberDevice(trx, {
    userId: device.userId,
    hash: sha256(`${device.userId} ${mark}`),
    at,
    refreshBefore: addTime(at, -days(1)),
    forgetBefore: addTime(at, -days(400)),
  })
}

export async function exportDevices(db: Db, userId: string): Promise<Record<string, unknown>> {
  const rows = await listDevices(db, userId)
  return {
    devices: rows.map(row => ({
      first_seen_at: row.first_seen_at.toISOString(),
      last_seen_at: row.last_seen_at.toISOString(),
    })),
  }
}
