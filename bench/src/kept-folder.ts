import fs from 'node:fs'
import path from 'node:path'
import { temporaryFolder } from '@roster/server/src/testing/temporary-folder.ts'

/** A folder for a database: the one asked for, which stays, or one that is removed at the end. */
export function benchFolder(kept: string | undefined): { folder: string; remove(): Promise<void> } {
  if (kept === undefined) return temporaryFolder()
  fs.mkdirSync(kept, { recursive: true })
  return { folder: path.resolve(kept), remove: async () => undefined }
}
