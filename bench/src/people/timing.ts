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
  const end = performance.now() + options.seconds * 1000
  let sent = 0
  await Promise.all(
    Array.from({ length: options.clients }, async () => {
      const connection = await Connection.open(options.port)
      while (performance.now() < end) {
        const request = options.next(sent)
        sent += 1
        const began = performance.now()
        const reply = await connection.exchange(request)
        times.push(performance.now() - began)
        if (reply.status !== 200) throw new Error(`an unexpected reply: ${reply.status} ${reply.body}`)
      }
      connection.close()
    }),
  )
  return times
}

export const pick = <T>(array: readonly T[], at: number): T => array[at % array.length] as T // never empty
