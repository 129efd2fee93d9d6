import { expect, onTestFinished, test } from 'vitest'
import { createEmptyDatabase } from '../../../server/src/testing/database.ts'
import { hasRabbitMq } from '../../../server/src/testing/rabbitmq.ts'
import { runLedger } from './run.ts'

test.skipIf(!hasRabbitMq)(
  'nothing is lost, doubled or out of order when processes and the broker are killed under load',
  async () => {
    const databases = [await createEmptyDatabase(), await createEmptyDatabase()]
    onTestFinished(async () => void (await Promise.all(databases.map(database => database.drop()))))
    const verdict = await runLedger({
      databaseUrl: databases[0]?.url ?? '',
      replicaUrl: databases[1]?.url ?? '',
      kills: 3,
      killEvery: 1500,
      brokerAway: 2000,
      clients: 4,
      log: () => undefined,
    })
    const { acknowledged, events, delivered, ...faults } = verdict
    expect(faults).toEqual(Object.fromEntries(Object.keys(faults).map(name => [name, 0])))
    expect(Math.min(acknowledged, events, delivered)).toBeGreaterThan(50)
  },
  180_000,
)
