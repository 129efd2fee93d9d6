import { Connection } from '../connection.ts'

/**
 * Milliseconds of each request that `clients` connections get answered, each sending its next one when it has its
 * reply.
 */
export async function timesOf(options: {
  port: number
  clients: number
  seconds: number
  next: (number: number) => Buffer
}): Promise<number[]> {
  const times: number[] = []
  const connections = await Promise.all(
    Array.from({ length: options.clients }, () => Connection.open(options.port)),
  )
  const end = performance.now() + options.seconds * 1000
  let sent = 0
  await Promise.all(
    connections.map(async connection => {
      // At least one each: on a slow machine the time may be over before the first reply.
      do {
        const request = options.next(sent)
        sent += 1
        const began = performance.now()
        const reply = await connection.exchange(request)
        times.push(performance.now() - began)
        if (reply.status !== 200) throw new Error(`an unexpected reply: ${reply.status} ${reply.body}`)
      } while (performance.now() < end)
      connection.close()
    }),
  )
  return times
}

export const pick = <T>(array: readonly T[], at: number): T => array[at % array.length] as T // never empty
