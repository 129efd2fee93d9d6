import type { TestApp } from './harness.ts'

/** A browser without scripts: it keeps cookies, and says where its forms come from. */
export function createVisitor(roster: TestApp) {
  const jar = new Map<string, string>()

  async function open(method: 'GET' | 'POST', url: string, fields?: Record<string, string>, origin?: string) {
    const reply = await roster.app.inject({
      method,
      url,
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        origin: origin ?? 'http://localhost:8000',
        ...(fields && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(fields && { payload: new URLSearchParams(fields).toString() }),
    })
    for (const { name, value, maxAge } of reply.cookies) {
      if (maxAge === 0 || value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return { status: reply.statusCode, location: String(reply.headers.location ?? ''), text: reply.body }
  }

  return {
    jar,
    get: (url: string) => open('GET', url),
    post: (url: string, fields: Record<string, string>, origin?: string) => open('POST', url, fields, origin),
    /** Gives a name, and returns the sign-in that is under way. */
    async begin(name: string, next?: string): Promise<string> {
      const { location } = await open('POST', '/sign-in', { name, ...(next !== undefined && { next }) })
      return new URL(location, 'http://localhost').searchParams.get('flow') ?? ''
    },
  }
}
