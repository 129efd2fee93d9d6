import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasRabbitMq } from './rabbitmq.ts'
import { until } from './until.ts'

test.skipIf(!hasRabbitMq)(
  'a RabbitMQ ends with the process that started it, and leaves nothing',
  async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-guard-'))
    onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }))
    const file = new URL('./rabbitmq.ts', import.meta.url)
    const owner = spawn(process.execPath, ['-e', `import('${file}').then(one => one.startRabbitMq())`], {
      env: { ...process.env, TMPDIR: folder },
      stdio: 'ignore',
    })
    const home = () => path.join(folder, fs.readdirSync(folder)[0] ?? 'none')
    await until(() => fs.existsSync(path.join(home(), 'data')))
    const group = Number(fs.readFileSync(path.join(home(), 'group')))
    expect(workingDirectory(group)).toBe(home())
    owner.kill('SIGKILL')
    await until(() => workingDirectory(group) === undefined && fs.readdirSync(folder).length === 0)
  },
)

/** Undefined where there is no such process, or only its exit code that nobody has asked for yet. */
function workingDirectory(id: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${id}/cwd`)
  } catch {
    return undefined
  }
}
