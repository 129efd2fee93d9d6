import { expect, test } from 'vitest'
import { createLogger } from '../http/logger.ts'
import { useTestApp } from '../testing/harness.ts'
import { enqueue, startJobs } from './worker.ts'

const roster = await useTestApp()

test('a job runs if and only if its transaction commits, and comes again after it failed', async () => {
  const seen: unknown[] = []
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const job = {
    name: 'test.note',
    async run(payload: unknown) {
      seen.push(payload)
      if (seen.length === 1) throw new Error('not yet')
      resolve()
    },
  }
  const jobs = await startJobs({
    url: roster.databaseUrl,
    log: createLogger({ logLevel: 'silent' }),
    jobs: [job, { name: 'test.by_the_clock', schedule: '0 4 * * *', run: async () => undefined }],
  })
  const { store } = roster.resources
  await store.transact(trx => enqueue(trx, job, { kept: true }))
  const lost = store.transact(async trx => {
    await enqueue(trx, job, { kept: false })
    throw new Error('rolled back')
  })
  await expect(lost).rejects.toThrow('rolled back')
  await done
  await jobs.stop()
  expect(seen).toEqual([{ kept: true }, { kept: true }])
})
