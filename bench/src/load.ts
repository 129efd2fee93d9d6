import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, type Reply } from './connection.ts'

/** What one client does next. Throws away nothing: a request that fails ends the measurement. */
type NextRequest = (client: number) => Buffer

/**
 * As many requests as `clients` connections get answered, each sending its next one when it has its reply.
 * @returns requests per second
 */
export async function closedLoop(options: {
  port: number
  clients: number
  seconds: number
  next: NextRequest
  expected: number
  /** Whether a client that is told to come back (503) does so: where more hashing is asked for than fits. */
  comesBack?: boolean
  onReply?: (reply: Reply, client: number) => void
}): Promise<number> {
  const { clients, expected, next, onReply } = options
  const connections = await openAll(options.port, clients)
  const begin = performance.now()
  const end = begin + options.seconds * 1000
  let count = 0

  const drive = (connection: Connection, client: number) =>
    new Promise<void>((resolve, reject) => {
      const again = () => connection.send(next(client), done, reject)
      function done(reply: Reply) {
        // Told to come back: no figure, and the wait is part of the time.
        const isBusy = options.comesBack === true && reply.status === 503
        if (reply.status !== expected && !isBusy) return reject(unexpected(reply))
        if (!isBusy) {
          onReply?.(reply, client)
          count++
        }
        if (performance.now() >= end) resolve()
        else if (isBusy) setTimeout(again, 100)
        else again()
      }
      again()
    })

  try {
    await Promise.all(connections.map(drive))
    return (count * 1000) / (performance.now() - begin)
  } finally {
    for (const connection of connections) connection.close()
  }
}

/**
 * Requests at a constant rate, whatever the replies do. A reply's time counts from the moment at which its
 * request was due, so that a stall is felt by every request that it held up (“coordinated omission”).
 * @returns milliseconds of each, unordered
 */
export async function openLoop(options: {
  port: number
  perSecond: number
  seconds: number
  next: NextRequest
  expected: number
}): Promise<number[]> {
  const { port, perSecond, next, expected } = options
  const all = await openAll(port, 16)
  const idle = [...all]
  const times: number[] = []
  const failures: Error[] = []
  const total = Math.round(perSecond * options.seconds)
  const begin = performance.now()
  let sent = 0

  async function send(due: number, number: number): Promise<void> {
    let connection = idle.pop()
    if (!connection) {
      connection = await Connection.open(port)
      all.push(connection)
    }
    const reply = await connection.exchange(next(number))
    times.push(performance.now() - due)
    if (reply.status !== expected) throw unexpected(reply)
    idle.push(connection)
  }

  try {
    while (sent < total) {
      const dueBy = Math.min(total, Math.floor(((performance.now() - begin) * perSecond) / 1000) + 1)
      for (; sent < dueBy; sent++) {
        send(begin + (sent * 1000) / perSecond, sent).catch((error: Error) => failures.push(error))
      }
      await sleep(1)
    }
    while (
      times.length + failures.length < total &&
      performance.now() - begin < options.seconds * 1000 + 5000
    ) {
      await sleep(5)
    }
    if (failures[0]) throw failures[0]
    return times
  } finally {
    for (const connection of all) connection.close()
  }
}

const openAll = (port: number, count: number): Promise<Connection[]> =>
  Promise.all(Array.from({ length: count }, () => Connection.open(port)))

const unexpected = (reply: Reply): Error => new Error(`an unexpected reply: ${reply.status} ${reply.body}`)
