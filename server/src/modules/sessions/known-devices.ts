import Bowser from 'bowser'
import type { Db, Tx } from '../../db/store.ts'
import { addTime, days } from '../../lib/clock.ts'
import { sha256 } from '../../lib/secrets.ts'
import { listDevices, rememberDevice } from './repo.ts'

/**
 * Remembers the device of a sign-in. A browser in browser mode is known by a cookie of its own; anything else
 * by the families of its browser and system, so that an update or another network does not make it a new one.
 * @returns whether the user should be told: they signed in before, and never from here
 */
export async function noteDevice(
  trx: Tx,
  at: Date,
  device: { userId: string; userAgent: string | undefined; cookie: string | undefined },
): Promise<boolean> {
  const mark = device.cookie === undefined ? `agent ${families(device.userAgent)}` : `cookie ${device.cookie}`
  return rememberDevice(trx, {
    userId: device.userId,
    hash: sha256(`${device.userId} ${mark}`),
    at,
    refreshBefore: addTime(at, -days(1)),
    forgetBefore: addTime(at, -days(400)),
  })
}

function families(userAgent: string | undefined): string {
  if (!userAgent) return ''
  const { browser, os, platform } = Bowser.parse(userAgent.slice(0, 512))
  const program = browser.name ?? /^[A-Za-z][\w.-]{0,39}/.exec(userAgent)?.[0]
  return [program, os.name, platform.type, platform.model].map(part => part ?? '').join('|')
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
