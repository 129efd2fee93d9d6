import type { Db } from '../../db/store.ts'
import { listActivity } from './activity.ts'
import type { Activity } from './schemas.ts'

/** Everything that was done to the user's account, newest first, as they may see it. */
export function createActivityExporter(cursorKey: Buffer) {
  return async (db: Db, userId: string): Promise<Record<string, unknown>> => {
    const activity: Activity['items'] = []
    let cursor: string | undefined
    do {
      const page: Activity = await listActivity({ db, cursorKey }, userId, { limit: 200, cursor })
      activity.push(...page.items)
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined)
    return { activity }
  }
}
