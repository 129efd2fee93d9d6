import { createEmptyDatabase } from '@roster/server/src/testing/database.ts'
import { hasRabbitMq } from '@roster/server/src/testing/rabbitmq.ts'
import { expect, onTestFinished, test } from 'vitest'
import { benchRelay } from './run.ts'

test.skipIf(!hasRabbitMq)(
  'every change of a short run arrives, and every figure comes out',
  async () => {
    const database = await createEmptyDatabase()
    onTestFinished(() => database.drop())
    const figures = await benchRelay({
      databaseUrl: database.url,
      changes: 20,
      users: 10,
      seconds: 2,
      backlog: 2000,
    })
    for (const [name, value] of Object.entries(figures)) expect(value, name).toBeGreaterThan(0)
    expect(figures.changesPerSecond).toBe(20)
  },
  90_000,
)
