import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * `pass`: as if it were not there. `swallow`: connections stay open and nothing comes through, as behind a
 * broken router. `refuse`: connections are cut, and new ones too.
 */
export type ProxyMode = 'pass' | 'swallow' | 'refuse'

export type TcpProxy = {
  url: string
  set(mode: ProxyMode): void
  /** From now on the connections with these numbers, the first being 1, get through only `milliseconds` after they came. */
  hold(from: number, to: number, milliseconds: number): void
}

/** A proxy in front of the PostgreSQL of a connection URL; closed when the test ends. */
export async function startProxy(databaseUrl: string): Promise<TcpProxy> {
  let mode: ProxyMode = 'pass'
  let count = 0
  let delayOf = (_connection: number) => 0
  const open = new Set<Socket>()
  const server = createServer(client => {
    if (mode === 'refuse') return void client.destroy()
    const delay = delayOf(++count)
    if (delay > 0) setTimeout(() => forward(client), delay).unref()
    else forward(client)
  })

  function forward(client: Socket): void {
    if (client.destroyed) return
    const database = connectSocket(addressOf(databaseUrl))
    for (const [from, to] of [
      [client, database],
      [database, client],
    ] as const) {
      open.add(from)
      from.on('data', bytes => {
        if (mode === 'pass') to.write(bytes)
      })
      from.on('error', () => undefined)
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  url.searchParams.delete('host')
  return {
    url: url.href,
    hold(from, to, milliseconds) {
      count = 0
      delayOf = connection => (connection >= from && connection <= to ? milliseconds : 0)
    },
    set(next) {
      mode = next
      if (next === 'refuse') cut()
    },
  }
}

function addressOf(databaseUrl: string): { path: string } | { host: string; port: number } {
  const url = new URL(databaseUrl)
  const folder = url.searchParams.get('host')
  const port = Number(url.port || 5432)
  return folder ? { path: `${folder}/.s.PGSQL.${port}` } : { host: url.hostname, port }
}
