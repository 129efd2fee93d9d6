import { type ChildProcess, fork } from 'node:child_process'
import os from 'node:os'
import { ProblemError } from '../http/problems.ts'
import { hashPassword } from './algorithms.ts'

export type HashRequest = { id: number; password: string; hash?: string }
export type HashReply = { id: number; valid?: boolean; hash?: string }

/** What a verification found; `rehashed` is a new hash where the old one is foreign or weaker than today's. */
export type Verification = { valid: boolean; rehashed: string | undefined }

export type PasswordHasher = {
  /** A new argon2id hash as a PHC string. */
  hash(password: string): Promise<string>
  /**
   * Checks a password. Without a hash (no such user) it spends one real hash all the same and finds it wrong.
   * @throws ProblemError service_busy when the queue is full
   */
  verify(hash: string | undefined, password: string): Promise<Verification>
  /** How many wait, and how many are being worked on. */
  load(): { waiting: number; running: number }
  stop(): Promise<void>
}

type Task = {
  request: HashRequest
  resolve: (reply: HashReply) => void
  reject: (error: Error) => void
}

type Worker = { child: ChildProcess; task: Task | undefined }

const workerFile = new URL('./worker.ts', import.meta.url)

/**
 * Hashing in processes of their own, one a core and of low priority. More at once would only make each slower;
 * in the service's own thread pool they would hold up everything else that waits there. The queue is bounded:
 * beyond `maxWaiting` a caller is told to come back, rather than to wait for longer than people wait.
 */
export function createPasswordHasher(
  options: { workers?: number; maxWaiting?: number } = {},
): PasswordHasher {
  const size = options.workers ?? os.availableParallelism()
  const maxWaiting = options.maxWaiting ?? size * 64
  const workers = new Set<Worker>()
  const queue: Task[] = []
  // Made here, once: an unknown user's attempt costs what a known one's does.
  const nobodysHash = hashPassword(`nobody ${process.hrtime.bigint()}`)
  let lastId = 0
  let stopped = false

  function startWorker() {
    const worker: Worker = { child: fork(workerFile, { stdio: 'inherit' }), task: undefined }
    workers.add(worker)
    worker.child.on('message', (reply: HashReply) => {
      const task = worker.task
      worker.task = undefined
      next(worker)
      if (task && task.request.id === reply.id) task.resolve(reply)
    })
    worker.child.on('error', () => lose(worker))
    worker.child.on('exit', () => lose(worker))
    return worker
  }

  /** A worker that died fails its one task; the queue goes on with a new worker. */
  function lose(worker: Worker) {
    if (!workers.delete(worker)) return
    const { task } = worker
    if (task) task.reject(new ProblemError('service_busy', { retryAfter: 1 }))
    if (!stopped && queue.length > 0) next(startWorker())
  }

  function next(worker: Worker) {
    const task = queue.shift()
    if (!task) return
    worker.task = task
    worker.child.send(task.request, error => {
      if (error) lose(worker)
    })
  }

  function run(work: Omit<HashRequest, 'id'>): Promise<HashReply> {
    if (stopped) return Promise.reject(new ProblemError('shutting_down', { retryAfter: 5 }))
    if (queue.length >= maxWaiting) {
      return Promise.reject(new ProblemError('service_busy', { retryAfter: 2 }))
    }
    return new Promise((resolve, reject) => {
      lastId += 1
      queue.push({ request: { id: lastId, ...work }, resolve, reject })
      const idle = [...workers].find(worker => !worker.task)
      if (idle) next(idle)
      else if (workers.size < size) next(startWorker())
    })
  }

  return {
    async hash(password) {
      const { hash } = await run({ password })
      if (!hash) throw new Error('the hashing worker answered without a hash')
      return hash
    },
    async verify(hash, password) {
      const reply = await run({ password, hash: hash ?? nobodysHash })
      return hash === undefined
        ? { valid: false, rehashed: undefined }
        : { valid: reply.valid === true, rehashed: reply.hash }
    },
    load: () => ({ waiting: queue.length, running: [...workers].filter(({ task }) => task).length }),
    async stop() {
      stopped = true
      for (const { reject } of queue.splice(0)) reject(new ProblemError('shutting_down', { retryAfter: 5 }))
      await Promise.all([...workers].map(({ child }) => ended(child)))
    },
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    if (child.connected) child.disconnect()
  })
}
