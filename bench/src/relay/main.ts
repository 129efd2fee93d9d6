/** node bench/src/relay/main.ts [seconds] [changes a second] [backlog]. Needs RabbitMQ here. */
import pg from 'pg'
import { startTestCluster } from '../../../server/src/testing/cluster.ts'
import { benchRelay } from './run.ts'

const [seconds = '10', changes = '500', backlog = '30000'] = process.argv.slice(2)
const cluster = await startTestCluster()
try {
  const client = new pg.Client({ connectionString: cluster.adminUrl })
  await client.connect()
  await client.query('create database relay')
  await client.end()
  const databaseUrl = cluster.adminUrl.replace(/\/postgres(\?|$)/, '/relay$1')
  console.table(
    await benchRelay({
      databaseUrl,
      changes: Number(changes),
      users: 200,
      seconds: Number(seconds),
      backlog: Number(backlog),
    }),
  )
} finally {
  await cluster.stop()
}
