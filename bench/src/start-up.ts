import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@roster/server/src/testing/program.ts'
import { temporaryFolder } from '@roster/server/src/testing/temporary-folder.ts'
import { root } from './service.ts'
import { median } from './statistics.ts'

/**
 * Milliseconds from the start command, as `npm start` runs it, to the first `/health/ready` that says yes:
 * first on an empty folder, which creates a database, then the median of `restarts` on the same one.
 */
export async function startTimes(restarts: number): Promise<{ first: number; restart: number }> {
  const { folder, remove } = temporaryFolder()
  try {
    const first = await startOnce(folder)
    const times: number[] = []
    for (let n = 0; n < restarts; n++) times.push(await startOnce(folder))
    return { first, restart: median(times) }
  } finally {
    await remove()
  }
}

async function startOnce(folder: string): Promise<number> {
  const port = await freePort()
  const begin = performance.now()
  const { PATH = '', HOME = '' } = process.env
  const runner = path.join(root, 'scripts/run.mjs')
  const child = spawn(process.execPath, [runner, 'server/src/cli.ts', 'serve'], {
    cwd: root,
    env: { PATH, HOME, PORT: String(port), DATA_DIR: folder },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  try {
    while (!(await isReady(port))) {
      if (child.exitCode !== null) throw new Error('the service did not start')
      await sleep(10)
    }
    return performance.now() - begin
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

const isReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health/ready`).then(
    reply => reply.ok,
    () => false,
  )
