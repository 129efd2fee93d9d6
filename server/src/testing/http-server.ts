import { connect } from 'node:net'
import type { Logger } from 'pino'
import { onTestFinished } from 'vitest'
import { createLogger } from '../http/logger.ts'
import { createMetrics } from '../http/metrics.ts'
import { createServer, type ServerConfig, type ServerOptions } from '../http/server.ts'
import type { App } from '../http/types.ts'
import { systemClock } from '../lib/clock.ts'

export const documented = { operationId: 'test', tags: ['test'], summary: 'Test', description: 'For a test.' }

/** The HTTP layer alone, without modules or a database; closed when the test ends. */
export function createTestServer(
  options: Partial<Omit<ServerOptions, 'config'>> & { config?: Partial<ServerConfig> } = {},
): App {
  const app = createServer({
    clock: systemClock,
    log: createLogger({ logLevel: 'silent' }),
    metrics: createMetrics(),
    version: '0.0.0',
    ...options,
    config: {
      environment: 'development',
      publicUrl: 'http://localhost:8000',
      trustedProxies: [],
      allowedOrigins: '*',
      rateLimits: 'off',
      ...options.config,
    },
  })
  onTestFinished(() => app.close())
  return app
}

/** A logger whose lines a test can read. */
export function createTestLog(level = 'info'): {
  log: Logger
  lines: () => Record<string, unknown>[]
  text(): string
} {
  const written: string[] = []
  const log = createLogger({ logLevel: level }, { write: line => void written.push(line) })
  return {
    log,
    lines: () => written.map(line => JSON.parse(line)),
    text: () => written.join(''),
  }
}

/** Sends bytes as they are, and gives back all that comes until the server closes or `until` is seen. */
export async function sendRaw(app: App, bytes: string | Buffer, until?: string): Promise<string> {
  const port = await listen(app)
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
  let received = ''
  socket.on('data', data => {
    received += data
    if (until !== undefined && received.includes(until)) socket.destroy()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => resolve(received))
  return promise
}

/** Opens a port of 127.0.0.1, once. */
export async function listen(app: App): Promise<number> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
