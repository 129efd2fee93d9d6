import type { Db } from './store.ts'

/**
 * Everything one module holds about a user, for the file that they can ask for: plain JSON under names of its own,
 * never a secret or a hash. `now` decides what has run out. A module that keeps personal data offers one; services.ts lists them.
 */
export type Exporter = (db: Db, userId: string, now: Date) => Promise<Readonly<Record<string, unknown>>>
