import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** Ends the PostgreSQL servers below the folder, waits for them for a second, and removes it. */
const removal = `
  read -r line
  servers() { find "$0" -maxdepth 6 -name postmaster.pid 2>/dev/null; }
  for file in $(servers); do kill -QUIT "$(head -n 1 "$file")" 2>/dev/null; done
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(servers)" ] || break
    sleep 0.1
  done
  rm -rf "$0" || { sleep 1; rm -rf "$0"; }`

/**
 * A folder in the system's temporary one that does not outlive this process, however it ends: a shell waits
 * for the end of its input, which comes with ours even by kill -9, and then stops what runs there.
 */
export function temporaryFolder(): { folder: string; remove(): Promise<void> } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-test-'))
  const shell = spawn('/bin/sh', ['-c', removal, folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  shell.unref()
  return {
    folder,
    async remove() {
      shell.ref()
      shell.stdin.end()
      if (shell.exitCode === null) await once(shell, 'exit')
    },
  }
}
