import { type ChildProcess, fork } from 'node:child_process'
import os from 'node:os'
import { ProblemError } from '../http/problems.ts'
import { type Asker, createAdmission } from './admission.ts'
import { candidatesFor, normalisePassword } from './candidates.ts'
import { createLanes } from './lanes.ts'
import { isTooDear, readHash } from './stored-hash.ts'

/** Without `hash` a new one is made; `rehash` is what a new one is made of, where the old one is right but weak. */
export type HashRequest = { id: number; password: string; hash?: string; rehash?: string }
export type HashReply = { id: number; milliseconds: number; valid?: boolean; hash?: string }

/** What a verification found; `rehashed` is a new hash where the old one is foreign or weaker than today's. */
export type Verification = { valid: boolean; rehashed: string | undefined }

export type PasswordHasher = {
  /** A new argon2id hash as a PHC string. @throws ProblemError service_busy */
  hash(password: string, asker?: Asker): Promise<string>
  /**
   * Checks a password against a hash of ours or of elsewhere.
   * @throws ProblemError service_busy where more work waits than fits, or than the asker's share
   */
  verify(hash: string, password: string, asker?: Asker): Promise<Verification>
  /** How many wait, and how many are being worked on. */
  load(): { waiting: number; running: number }
  stop(): Promise<void>
}

type Task = {
  request: HashRequest
  cost: number
  resolve: (reply: HashReply) => void
  reject: (error: Error) => void
}

type Worker = { child: ChildProcess; task: Task | undefined }

const workerFile = new URL('./worker.ts', import.meta.url)

/** Milliseconds that a caller waits for those before; people don't wait for longer. */
const usualPatience = 2000

/**
 * Hashing in processes of their own, one a core and of low priority. More at once would only make each slower;
 * in the service's own thread pool they would hold up everything else that waits there. What waits is bounded by
 * the time that it will take (`admission.ts`): beyond it a caller is told to come back.
 */
export function createPasswordHasher(options: { workers?: number; patience?: number } = {}): PasswordHasher {
  const size = options.workers ?? os.availableParallelism()
  const admission = createAdmission({ workers: size, patience: options.patience ?? usualPatience })
  const workers = new Set<Worker>()
  const queue = createLanes<Task>()
  let lastId = 0
  let stopped = false

  function startWorker() {
    const worker: Worker = { child: fork(workerFile, { stdio: 'inherit' }), task: undefined }
    workers.add(worker)
    worker.child.on('message', (reply: HashReply) => {
      const task = worker.task
      worker.task = undefined
      next(worker)
      if (task && task.request.id === reply.id) {
        admission.took(task.cost, reply.milliseconds)
        task.resolve(reply)
      }
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

  function run(work: Omit<HashRequest, 'id'>, cost: number, asker: Asker): Promise<HashReply> {
    if (stopped) return Promise.reject(new ProblemError('shutting_down', { retryAfter: 5 }))
    const entry = admission.enter(cost, asker)
    if ('retryAfter' in entry) return Promise.reject(new ProblemError('service_busy', entry))
    const { promise, resolve, reject } = Promise.withResolvers<HashReply>()
    lastId += 1
    queue.push({ request: { id: lastId, ...work }, cost, resolve, reject }, asker.isKnown === true)
    const idle = [...workers].find(worker => !worker.task)
    if (idle) next(idle)
    else if (workers.size < size) next(startWorker())
    return promise.finally(entry.leave)
  }

  return {
    async hash(password, asker = {}) {
      const { hash } = await run({ password: normalisePassword(password) }, 1, asker)
      if (!hash) throw new Error('the hashing worker answered without a hash')
      return hash
    },
    async verify(hash, password, asker = {}) {
      const cost = costOf(hash)
      // One after the other, so that those who are known get their turn in between.
      for (const candidate of candidatesFor(hash, password)) {
        const work = { password: candidate, hash, rehash: normalisePassword(password) }
        const reply = await run(work, cost, asker)
        if (reply.valid) return { valid: true, rehashed: reply.hash }
      }
      return { valid: false, rehashed: undefined }
    },
    load: () => ({ waiting: queue.length, running: [...workers].filter(({ task }) => task).length }),
    async stop() {
      stopped = true
      for (const { reject } of queue.clear()) reject(new ProblemError('shutting_down', { retryAfter: 5 }))
      await Promise.all([...workers].map(({ child }) => ended(child)))
    },
  }
}

/** In hashes of our own; what can't be checked costs one all the same. */
function costOf(hash: string): number {
  const stored = readHash(hash)
  return stored && !isTooDear(stored) ? Math.max(stored.cost, 0.01) : 1
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    if (child.connected) child.disconnect()
  })
}
