import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'
import { startTestApp, type TestApp } from './harness.ts'

/** A service that a browser can open. `at` gives the address of a path. */
export type PageService = TestApp & { at(path: string): string }

/** The service on a port of its own, for a whole file. Its clock is the machine's, as a browser's is. */
export async function usePageService(options: Parameters<typeof startTestApp>[0] = {}): Promise<PageService> {
  const roster = await startTestApp(options)
  await roster.app.listen({ port: 0, host: '127.0.0.1' })
  // A server that listens has an address with a port.
  const { port } = roster.app.server.address() as AddressInfo
  afterAll(() => roster.stop())
  return { ...roster, at: path => `http://localhost:${port}${path}` }
}
