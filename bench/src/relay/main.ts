/** node bench/src/relay/main.ts [changes a second] [seconds] [backlog]. Needs RabbitMQ on this machine. */
import pg from 'pg'
import { startTestCluster } from '../../../server/src/testing/cluster.ts'
import { benchRelay } from './run.ts'

const [changes = '500', seconds = '10', backlog = '30000'] = process.argv.slice(2)
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
      seconds: Number(seconds),
      backlog: Number(backlog),
    }),
  )
} finally {
  await cluster.stop()
}
