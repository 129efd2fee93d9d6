/**
 * npm run chaos [kills] [seconds without broker]: the whole ledger test, by default 50 kills and two minutes
 * without a broker. Needs RabbitMQ on this machine.
 */
import pg from 'pg'
import { startTestCluster } from '../../../server/src/testing/cluster.ts'
import { runLedger } from './run.ts'
import { isFaultless } from './verdict.ts'

const [kills = '50', seconds = '120'] = process.argv.slice(2)
const cluster = await startTestCluster()
const start = performance.now()
try {
  const [databaseUrl = '', replicaUrl = ''] = await Promise.all(['service', 'replica'].map(createDatabase))
  const verdict = await runLedger({
    databaseUrl,
    replicaUrl,
    kills: Number(kills),
    killEvery: 2500,
    brokerAway: Number(seconds) * 1000,
    clients: 12,
    log: line => console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${line}`),
  })
  console.table(verdict)
  process.exitCode = isFaultless(verdict) ? 0 : 1
} finally {
  await cluster.stop()
}

async function createDatabase(name: string): Promise<string> {
  const client = new pg.Client({ connectionString: cluster.adminUrl })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  return cluster.adminUrl.replace(/\/postgres(\?|$)/, `/${name}$1`)
}
