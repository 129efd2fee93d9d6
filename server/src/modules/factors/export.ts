import type { Db } from '../../db/store.ts'
import { listFactors, listPasskeys } from './repo.ts'

/** A user's second factors and passkeys, for the file of all that is held about them; secrets stay out. */
export async function exportFactors(db: Db, userId: string): Promise<Record<string, unknown>> {
  const [factors, passkeys] = await Promise.all([listFactors(db, userId), listPasskeys(db, userId)])
  return {
    second_factors: factors.map(({ method, phone_number, created_at, last_used_at }) => ({
      method,
      phone_number,
      created_at: created_at.toISOString(),
      last_used_at: last_used_at?.toISOString() ?? null,
    })),
    passkeys: passkeys.map(({ id, name, created_at, last_used_at, transports }) => ({
      id,
      name,
      created_at: created_at.toISOString(),
      last_used_at: last_used_at?.toISOString() ?? null,
      transports,
    })),
  }
}
