import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendJsonText } from '../../http/json-text.ts'
import type { UserReader } from '../users/index.ts'
import type { BrowserMode } from './browser-mode.ts'
import type { Tokens } from './service.ts'

export type ReplyWithTokens = (
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: Tokens & { user_id: string },
) => Promise<FastifyReply>

/** Sends tokens with their user; in browser mode the refresh token goes into the cookie and nowhere else. */
export function createTokensReply(deps: { users: UserReader; browserMode: BrowserMode }): ReplyWithTokens {
  return async (request, reply, { user_id, refresh_token, ...tokens }) => {
    const inCookie = deps.browserMode.isOn(request)
    if (inCookie) deps.browserMode.keep(reply, { ...tokens, refresh_token })
    const head = JSON.stringify(inCookie ? tokens : { ...tokens, refresh_token })
    // The user is JSON text already, kept for the requests that follow.
    const body = `${head.slice(0, -1)},"user":${await deps.users.readJson(user_id)}}`
    return sendJsonText(reply, body)
  }
}
