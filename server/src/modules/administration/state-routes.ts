import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import type { Principal } from '../../http/principal.ts'
import type { ProblemCode } from '../../http/problems.ts'
import { idOf, idParams, NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { type Origin, originOf } from '../audit/index.ts'
import { RevokedSchema, SessionListSchema } from '../sessions/index.ts'
import type { AdministrationDeps } from './deps.ts'
import { deactivate, logOut, logOutOne, resetMfa, restore, sendReset, unlock } from './user-state.ts'

const tags = ['administration']
const ofUser = idParams('the user')
const config = { access: { permission: 'users:update' }, stepUp: 'highest' } as const

type Act = {
  path: string
  operationId: string
  summary: string
  description: string
  act: (deps: AdministrationDeps, origin: Origin, principal: Principal, userId: string) => Promise<void>
  problems?: ProblemCode[]
}

const acts: readonly Act[] = [
  {
    path: 'deactivate',
    operationId: 'deactivateUser',
    summary: 'Deactivate a user',
    description:
      'They can’t sign in, and their sessions end, until they are restored. One who deleted their account can no ' +
      'longer restore it by the link that they were sent.',
    act: deactivate,
    problems: ['last_administrator'],
  },
  {
    path: 'restore',
    operationId: 'restoreUser',
    summary: 'Restore a user',
    description: 'One who is deactivated, or deleted and not yet erased.',
    act: restore,
  },
  {
    path: 'unlock',
    operationId: 'unlockUser',
    summary: 'Unlock a user',
    description: 'Forgets their failed attempts, so that they may try again at once.',
    act: unlock,
  },
  {
    path: 'mfa-reset',
    operationId: 'resetUserMfa',
    summary: 'Take away a user’s second factors',
    description:
      'For one who lost them, recovery codes as well. Their passkeys go too, their sessions end, and a mail tells them. Make sure first that it is them who ask.',
    act: resetMfa,
  },
  {
    path: 'password-reset',
    operationId: 'sendUserPasswordReset',
    summary: 'Send a user a password reset',
    description: 'The link goes to their address and nowhere else. Their present password works until then.',
    act: sendReset,
    problems: ['otp_quota_exceeded', 'otp_cooldown'],
  },
]

/** What is done to accounts, and their sessions. */
export function userStateRoutes(app: App, deps: AdministrationDeps): void {
  for (const { path, operationId, summary, description, act, problems = [] } of acts) {
    app.route({
      method: 'POST',
      url: `/users/:id/${path}`,
      config,
      schema: {
        operationId,
        tags,
        summary,
        description: `${description} Users who may do more than the caller are refused.`,
        params: ofUser,
        response: { 204: NoBody, ...problemResponses('not_found', ...problems) },
      },
      async handler(request, reply) {
        // TypeBox can't see through the computed path; the params schema above has checked the id.
        const { id } = request.params as { id: string }
        await act(deps, originOf(request), principalOf(request), id)
        return reply.code(204).send()
      },
    })
  }

  app.route({
    method: 'POST',
    url: '/users/:id/logout',
    config,
    schema: {
      operationId: 'logOutUser',
      tags,
      summary: 'End a user’s sessions',
      description: 'All of them, on every device. Users who may do more than the caller are refused.',
      params: ofUser,
      response: { 200: RevokedSchema, ...problemResponses('not_found') },
    },
    handler: async request => ({
      revoked: await logOut(deps, originOf(request), principalOf(request), request.params.id),
    }),
  })

  app.route({
    method: 'GET',
    url: '/users/:id/sessions',
    config: { access: { permission: 'users:read' } },
    schema: {
      operationId: 'listUserSessions',
      tags,
      summary: 'List a user’s sessions',
      description: 'Living sessions, last used first, at most 200.',
      params: ofUser,
      response: { 200: ref(SessionListSchema), ...problemResponses('not_found') },
    },
    async handler(request) {
      const { id } = await deps.users.read(request.params.id)
      return { items: await deps.sessions.list(id, principalOf(request).sessionId) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/users/:id/sessions/:session_id',
    config,
    schema: {
      operationId: 'endUserSession',
      tags,
      summary: 'End one of a user’s sessions',
      description: 'Users who may do more than the caller are refused.',
      params: Type.Object({
        id: idOf('the user'),
        session_id: idOf('the session'),
      }),
      response: { 204: NoBody, ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      const { id, session_id } = request.params
      await logOutOne(deps, originOf(request), principalOf(request), id, session_id)
      return reply.code(204).send()
    },
  })
}
