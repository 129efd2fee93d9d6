import '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../http/types.ts'
import { randomToken } from '../lib/secrets.ts'

/** A sign-in that somebody has begun on these pages. */
export type Flow = {
  id: string
  /** What they called themselves. */
  name: string
  next: string | undefined
  /** Whether their browser can make passkeys. */
  canMakePasskeys: boolean
  /** Where a second factor is due. */
  mfaToken?: string
  methods?: string[]
}

/**
 * The pages' own cookies. Each sign-in under way has one of its own, so that two tabs don't disturb each other;
 * its secret is the `mfa_token`, so it is HttpOnly and goes with same-site requests alone.
 */
export type PageCookies = {
  newFlow(flow: Omit<Flow, 'id'>): Flow
  readFlow(request: FastifyRequest, id: string | undefined): Flow | undefined
  keepFlow(reply: FastifyReply, flow: Flow): void
  /** Drops the oldest of the sign-ins under way: many would make a browser's headers too long for any request. */
  dropOldFlows(request: FastifyRequest, reply: FastifyReply): void
  dropFlow(reply: FastifyReply, id: string): void
  /** Which link of a mail this browser has just used. */
  usedLink(request: FastifyRequest): string | undefined
  noteUsedLink(reply: FastifyReply, mark: string): void
  /** Whether this browser was offered a passkey before. */
  wasOffered(request: FastifyRequest): boolean
  noteOffered(reply: FastifyReply): void
  /** The languages that were chosen by `ui_locales`, for the pages after it. */
  chosenLocales(request: FastifyRequest): string | undefined
  keepLocales(reply: FastifyReply, locales: string): void
}

/** Seconds for which a sign-in may be under way: as long as an `mfa_token` lives. */
const flowLifetime = 600
/** Sign-ins that one browser may have under way, in as many tabs. */
const mostFlows = 5
const offerMemory = 400 * 86_400

export function createPageCookies(app: App, publicUrl: string): PageCookies {
  const secure = publicUrl.startsWith('https:')
  const prefix = `${secure ? '__Host-' : ''}roster_`
  const strict = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const
  const lax = { ...strict, sameSite: 'lax' } as const
  const read = (request: FastifyRequest, name: string) =>
    app.parseCookie(request.headers.cookie ?? '')[`${prefix}${name}`]

  return {
    newFlow: flow => ({ ...flow, id: randomToken(9) }),
    readFlow(request, id) {
      if (id === undefined || !/^[\w-]{12}$/.test(id)) return undefined
      return parseFlow(id, read(request, `flow_${id}`))
    },
    keepFlow(reply, { id, ...flow }) {
      const value = Buffer.from(JSON.stringify(flow)).toString('base64url')
      reply.setCookie(`${prefix}flow_${id}`, value, { ...lax, maxAge: flowLifetime })
    },
    dropOldFlows(request, reply) {
      // Browsers send cookies of one path in the order in which they were made (RFC 6265, 5.4).
      const names = Object.keys(app.parseCookie(request.headers.cookie ?? ''))
      const flows = names.filter(name => name.startsWith(`${prefix}flow_`))
      for (const name of flows.slice(0, -(mostFlows - 1))) reply.clearCookie(name, lax)
    },
    dropFlow: (reply, id) => void reply.clearCookie(`${prefix}flow_${id}`, lax),
    usedLink: request => read(request, 'used_link'),
    noteUsedLink: (reply, mark) => void reply.setCookie(`${prefix}used_link`, mark, { ...lax, maxAge: 3600 }),
    wasOffered: request => read(request, 'passkey_offered') === '1',
    noteOffered: reply =>
      void reply.setCookie(`${prefix}passkey_offered`, '1', { ...strict, maxAge: offerMemory }),
    chosenLocales: request => read(request, 'locales'),
    keepLocales: (reply, locales) => void reply.setCookie(`${prefix}locales`, locales, lax),
  }
}

/** What the browser kept. It is its owner's own to change: nothing here is believed beyond what they could type. */
function parseFlow(id: string, value: string | undefined): Flow | undefined {
  if (value === undefined) return undefined
  try {
    const flow: unknown = JSON.parse(Buffer.from(value, 'base64url').toString())
    return isFlow(flow) ? { ...flow, id } : undefined
  } catch {
    return undefined
  }
}

function isFlow(value: unknown): value is Omit<Flow, 'id'> {
  if (typeof value !== 'object' || value === null) return false
  const { name, next, mfaToken, methods } = value as Partial<Record<keyof Flow, unknown>> // each is checked here
  return (
    typeof name === 'string' &&
    (next === undefined || typeof next === 'string') &&
    (mfaToken === undefined || typeof mfaToken === 'string') &&
    (methods === undefined || (Array.isArray(methods) && methods.every(method => typeof method === 'string')))
  )
}
