import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Watched } from '../lib/watched.ts'
import { createTestLog } from '../testing/http-server.ts'
import { createDependencies, createWatch } from './index.ts'
import { loopLog } from './loop-log.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const seconds = (n: number) => vi.advanceTimersByTimeAsync(n * 1000)

/** A task that works until it is killed, and again after a restart if that helps. */
function createTask(name: string, helps = true): Watched & { restarts: number; kill(): void; fail(): void } {
  let dead = false
  let failing: number | undefined
  return {
    name,
    restarts: 0,
    dueBy: () => (dead ? 0 : performance.now() + 1000),
    failingSince: () => failing,
    restart() {
      this.restarts += 1
      if (helps) dead = false
      else throw new Error('in vain')
    },
    kill() {
      dead = true
    },
    fail() {
      failing = performance.now()
    },
  }
}

function startWatch(...tasks: Watched[]) {
  const { log, lines } = createTestLog()
  const registry = new Registry()
  const state = { isDatabaseUp: true, givenUp: [] as string[] }
  const watch = createWatch({
    log,
    registry,
    isDatabaseUp: () => state.isDatabaseUp,
    giveUp: task => void state.givenUp.push(task),
  })
  watch.add(...tasks)
  watch.start()
  return { watch, state, registry, said: () => lines().map(({ msg }) => String(msg)) }
}

describe('the watch', () => {
  test('begins a dead task anew within a minute, says so once each way, and leaves the others alone', async () => {
    const [sealer, relay] = [createTask('audit_sealing'), createTask('event_publishing')]
    const { watch, state, registry, said } = startWatch(sealer, relay)
    await seconds(20)
    sealer.kill()
    expect(await registry.getSingleMetricAsString('background_up')).toContain('{task="audit_sealing"} 0')
    await expect(watch.probes().audit_sealing?.()).rejects.toThrow()
    await expect(watch.probes().event_publishing?.()).resolves.toBeUndefined()
    await seconds(60)
    expect([sealer.restarts, relay.restarts, state.givenUp]).toEqual([1, 0, []])
    await expect(watch.probes().audit_sealing?.()).resolves.toBeUndefined()
    expect(said()).toEqual([
      'background work shows no sign of life: audit sealing; it is begun anew',
      expect.stringMatching(/^background work goes on: audit sealing, after \d+ s$/),
    ])
    watch.stop()
  })

  test('gives the process up, once, where two minutes of attempts did not help', async () => {
    const task = createTask('job_queue', false)
    const { watch, state, registry } = startWatch(task)
    await seconds(20)
    task.kill()
    await seconds(100)
    expect(state.givenUp).toEqual([])
    await seconds(60)
    expect(state.givenUp).toEqual(['job_queue'])
    // An attempt each twenty seconds, not each second.
    expect(task.restarts).toBeLessThan(10)
    const counted = await registry.getSingleMetricAsString('background_restarts_total')
    expect(counted).toContain(`{task="job_queue"} ${task.restarts}`)
    watch.stop()
  })

  test('takes no task for dead while the database is away, nor right after', async () => {
    const task = createTask('news', false)
    const { watch, state } = startWatch(task)
    await seconds(20)
    state.isDatabaseUp = false
    task.kill()
    await seconds(600)
    expect([task.restarts, state.givenUp]).toEqual([0, []])
    state.isDatabaseUp = true
    await seconds(10)
    expect(task.restarts).toBe(0)
    await seconds(10)
    expect(task.restarts).toBe(1)
    watch.stop()
  })

  test('shows a task that fails again and again, and ends no process for it', async () => {
    const task = createTask('event_publishing')
    const { watch, state, said } = startWatch(task)
    await seconds(20)
    task.fail()
    await seconds(15)
    await expect(watch.probes().event_publishing?.()).resolves.toBeUndefined()
    await seconds(600)
    await expect(watch.probes().event_publishing?.()).rejects.toThrow('fails')
    expect([task.restarts, state.givenUp]).toEqual([0, []])
    expect(said()).toEqual(['background work fails again and again: event publishing'])
    watch.stop()
  })
})

test('what a loop says of failed turns is one line when it begins and one when it is over', () => {
  const { log, lines } = createTestLog()
  const { failed, recovered } = loopLog(log, 'numbering events')
  recovered()
  failed(Object.assign(new Error('gone'), { code: 'ECONNREFUSED', syscall: 'connect' }))
  for (let n = 0; n < 3; n += 1) failed(new Error('odd'))
  recovered()
  recovered()
  expect(lines().map(({ msg }) => msg)).toEqual([
    'numbering events failed; trying again until it works',
    'numbering events works again',
  ])
})

test('a dependency that goes and comes back is one line each way, in words; the rest is counted', async () => {
  const { log, lines } = createTestLog()
  const registry = new Registry()
  const broker = createDependencies({ log, registry }).of('rabbitmq', 'RabbitMQ')
  broker.up()
  for (let n = 0; n < 5; n += 1) broker.down(Object.assign(new Error(''), { code: 'ACCESS_REFUSED' }))
  expect(broker.isUp()).toBe(false)
  await seconds(90)
  broker.up()
  expect(lines().map(({ msg }) => msg)).toEqual([
    'RabbitMQ does not answer: the user, the password or a permission is refused (ACCESS_REFUSED)',
    'RabbitMQ answers again, after 90 s',
  ])
  expect(await registry.getSingleMetricAsString('dependency_failures_total')).toContain('"rabbitmq"} 5')
  expect(await registry.getSingleMetricAsString('dependency_up')).toContain('"rabbitmq"} 1')
})
