import type { Eraser } from '../../db/eraser.ts'
import type { Db } from '../../db/store.ts'
import type { JsonObject } from '../../lib/json.ts'
import { allValues, countOwnValues, removeSamplesOf } from './repo.ts'

/** How many keys a user has a value of their own for. */
export const countOwnSettings = (db: Db, userId: string): Promise<number> => countOwnValues(db, userId)

/** What a user has set, by scope; what they never set is not theirs. */
export async function exportSettings(db: Db, userId: string): Promise<Record<string, JsonObject>> {
  const rows = await allValues(db, userId)
  return Object.fromEntries(
    rows.map(({ scope, value_by_key, version, updated_at }) => [
      scope === 'preference' ? 'preferences' : 'settings',
      { values: value_by_key, version, updated_at: updated_at.toISOString() },
    ]),
  )
}

/** Their values go with their row; what is left are samples in the results of dry-runs. */
export const eraseFromSettings: Eraser = (trx, { userId }) => removeSamplesOf(trx, userId)
