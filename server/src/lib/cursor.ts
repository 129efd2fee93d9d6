import { seal, unseal } from './secrets.ts'

/** The values of the last row of a page: where the next one begins. */
export type Position = readonly (string | number | null)[]

/**
 * A place in a list as an opaque text (AES-256-GCM): what it holds can be neither read nor changed, and it
 * fits one list alone. `list` names that: the route, its filters and its order.
 */
export const encodeCursor = (key: Buffer, list: string, position: Position): string =>
  seal(key, JSON.stringify(position), list).toString('base64url')

/** The place in a cursor of this very list; undefined for any other text. */
export function decodeCursor(key: Buffer, list: string, cursor: string): Position | undefined {
  try {
    const position: unknown = JSON.parse(unseal(key, Buffer.from(cursor, 'base64url'), list).toString())
    // Only encodeCursor() makes a text that opens.
    return position as Position
  } catch {
    return undefined
  }
}
