import { decodeCursor, encodeCursor, type Position } from '../lib/cursor.ts'
import { ProblemError } from './problems.ts'

/** A list that is read page by page: the key of its cursors, and what no other list is called. */
export type PagedList = { key: Buffer; name: string }

type Kinds = { string: string; number: number }
type Place<K extends readonly (keyof Kinds)[]> = { [Index in keyof K]: Kinds[K[Index]] }

/**
 * The place where the last page ended; undefined without a cursor.
 * @param kinds types of the values that a place of this list has
 * @throws ProblemError validation_failed for a cursor of another list
 */
export function readCursor<const K extends readonly (keyof Kinds)[]>(
  { key, name }: PagedList,
  cursor: string | undefined,
  kinds: K,
): Place<K> | undefined {
  if (cursor === undefined) return undefined
  const place = decodeCursor(key, name, cursor)
  // What is checked here is what the type says.
  if (place && kinds.every((kind, index) => typeof place[index] === kind)) return place as Place<K>
  throw new ProblemError('validation_failed', {
    errors: [{ path: 'cursor', code: 'cursor', message: 'Must be the next_cursor of this very list.' }],
  })
}

/** A page of `limit` rows, for which `limit` + 1 were read: one more says that there is a next page. */
export function pageOf<Row>(
  { key, name }: PagedList,
  rows: readonly Row[],
  limit: number,
  placeOf: (last: Row) => Position,
): { items: Row[]; next_cursor: string | null } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const more = last !== undefined && rows.length > limit
  return { items, next_cursor: more ? encodeCursor(key, name, placeOf(last)) : null }
}
