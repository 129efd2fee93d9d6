import { noteProgress } from './progress.ts'

/** Rows of one statement: some tens of milliseconds, in which nobody waits long for a lock or a connection. */
const batchSize = 2000

/** Repeats `work` until it did less than the limit it was given. Returns how much it did altogether. */
export async function inBatches(work: (limit: number) => Promise<number>): Promise<number> {
  let total = 0
  for (;;) {
    const count = await work(batchSize)
    total += count
    noteProgress()
    if (count < batchSize) return total
  }
}

/**
 * Goes through a table in the order of a key, for what no index finds: `work` looks at the next `limit` rows above
 * `after` and returns the last key that it saw, or undefined at the end.
 */
export async function pageByPage<Key>(
  start: Key,
  work: (after: Key, limit: number) => Promise<Key | undefined>,
): Promise<void> {
  let after: Key | undefined = start
  while (after !== undefined) {
    after = await work(after, batchSize)
    noteProgress()
  }
}
