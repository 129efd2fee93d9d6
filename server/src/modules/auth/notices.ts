import type { Tx } from '../../db/store.ts'
import type { MfaChange, Outbound } from '../../delivery/index.ts'
import type { Origin } from '../audit/index.ts'
import { describeDevice } from '../sessions/index.ts'
import { findUserRecord, type LockedUser } from '../users/index.ts'
import { nameOf } from './owner.ts'

/* Mails that tell the owner of an account what was done with it. They are never held back by a quota. */

type Person = Pick<LockedUser, 'id' | 'email' | 'locale' | 'full_name' | 'username'>

export async function tellOfNewPassword(
  outbound: Outbound,
  trx: Tx,
  at: Date,
  userId: string,
): Promise<void> {
  const user = await findUserRecord(trx, userId)
  if (!user) return
  await outbound.mail(trx, {
    template: 'password_changed',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), at },
  })
}

export async function tellOfNewDevice(
  outbound: Outbound,
  trx: Tx,
  at: Date,
  { userId, origin }: { userId: string; origin: Origin },
): Promise<void> {
  const user = await findUserRecord(trx, userId)
  if (!user) return
  const { device_name } = describeDevice(origin.userAgent ?? null)
  await outbound.mail(trx, {
    template: 'new_device',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), device: device_name, ip: origin.ip ?? 'unknown', at },
  })
}

export async function tellOfNewPhone(
  outbound: Outbound,
  trx: Tx,
  at: Date,
  user: Person,
  number: string,
): Promise<void> {
  await outbound.mail(trx, {
    template: 'phone_changed',
    to: user.email,
    locale: user.locale,
    userId: user.id,
    data: { name: nameOf(user), new_phone_masked: `•••••${number.slice(-2)}`, at },
  })
}

export async function tellOfMfaChange(
  outbound: Outbound,
  trx: Tx,
  user: Person,
  what: MfaChange,
): Promise<void> {
  await outbound.mail(trx, {
    template: 'mfa_changed',
    to: user.email,
    locale: user.locale,
    userId: user.id,
    data: { name: nameOf(user), what },
  })
}
