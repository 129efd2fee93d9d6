import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'

/** Resident memory of a process in MB. */
export function memoryOf(pid: number | undefined): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024
}

/** Seconds of CPU that a process has used; undefined where the system does not tell (outside Linux). */
export function cpuOf(pid: number | undefined): number | undefined {
  try {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

/** A helper process of the bench: answers one message at a time. */
export type Helper = { pid: number | undefined; ask<T>(message: object): Promise<T>; end(): Promise<void> }

export async function startHelper(file: URL, args: readonly string[] = []): Promise<Helper> {
  const child: ChildProcess = fork(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return {
    pid: child.pid,
    async ask(message) {
      child.send(message)
      const [reply] = await once(child, 'message')
      return reply
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill()
      await once(child, 'exit')
    },
  }
}
