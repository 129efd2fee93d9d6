import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ProblemError } from '../../http/problems.ts'
import { ref } from '../../http/schemas.ts'
import { type ReplyWithTokens, type Sessions, type Tokens, TokensSchema } from '../sessions/index.ts'
import type { UserReader } from '../users/index.ts'
import { MfaRequiredSchema } from './mfa-schemas.ts'
import type { Arrival } from './sign-in-machine.ts'

/** What {@link replyToArrival} sends. */
export const ArrivalSchema = Type.Union([ref(TokensSchema), ref(MfaRequiredSchema)], {
  description: 'The tokens; or, where a second factor is still due, an `mfa_token`.',
})

export type ArrivalReplyDeps = { sessions: Sessions; users: UserReader; replyWithTokens: ReplyWithTokens }

/**
 * Answers somebody who signs in: with tokens, or with what is still due.
 * @throws ProblemError invalid_credentials, email_not_verified
 */
export async function replyToArrival(
  deps: ArrivalReplyDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  arrival: Arrival,
): Promise<FastifyReply> {
  if (arrival.state === 'second_factor_due') {
    const { mfaToken, methods } = arrival
    return reply.send({ mfa_required: true, mfa_token: mfaToken, methods })
  }
  return deps.replyWithTokens(request, reply, await tokensOf(deps, arrival))
}

/**
 * Tokens for somebody who signs in by a route that knows no second factor.
 * @throws ProblemError second_factor_required, invalid_credentials, email_not_verified
 */
export async function tokensOf(
  { sessions, users }: Pick<ArrivalReplyDeps, 'sessions' | 'users'>,
  arrival: Arrival,
): Promise<Tokens & { user_id: string }> {
  if (arrival.state === 'second_factor_due') throw new ProblemError('second_factor_required')
  if (arrival.state === 'anonymous') {
    const refused = arrival.reason === 'refused'
    throw new ProblemError(refused ? 'invalid_credentials' : 'email_not_verified')
  }
  const tokens = await sessions.tokensFor(arrival.session)
  users.forget(tokens.user_id)
  return tokens
}
