import { Type } from 'typebox'
import type { Store } from '../../db/store.ts'
import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { idOf, idParams, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { originOf } from '../audit/index.ts'
import { changeRoles, readRoles } from './grants.ts'
import { RoleGrantSchema, RoleName, RoleSetSchema, UserRolesSchema } from './schemas.ts'
import { defaultRole } from './well-known.ts'

const access = { permission: 'roles:assign' }
const changing = { access, stepUp: 'highest' } as const
const tags = ['administration']
const replies = { 200: ref(UserRolesSchema), ...problemResponses('not_found', 'last_administrator') }
const ofUser = idParams('the user')

/** The roles of a user, under `/users/{id}/roles`. */
export function grantRoutes(app: App, deps: { store: Store; clock: Clock }): void {
  app.route({
    method: 'GET',
    url: '/users/:id/roles',
    config: { access },
    schema: {
      operationId: 'getUserRoles',
      tags,
      summary: 'Read a user’s roles',
      description: 'With `user`, which everybody holds.',
      params: ofUser,
      response: { 200: ref(UserRolesSchema), ...problemResponses('not_found') },
    },
    handler: async request => ({ roles: await readRoles(deps.store, request.params.id) }),
  })

  app.route({
    method: 'PUT',
    url: '/users/:id/roles',
    config: changing,
    schema: {
      operationId: 'setUserRoles',
      tags,
      summary: 'Set a user’s roles',
      description:
        'All at once. The caller must hold all that a role allows to give or take it, and all that the user may.',
      params: ofUser,
      body: ref(RoleSetSchema),
      response: replies,
    },
    handler: async request => ({
      roles: await changeRoles(
        deps,
        originOf(request),
        principalOf(request),
        request.params.id,
        () => request.body.roles,
      ),
    }),
  })

  app.route({
    method: 'POST',
    url: '/users/:id/roles',
    config: changing,
    schema: {
      operationId: 'grantUserRole',
      tags,
      summary: 'Give a user a role',
      description:
        'Beside those they hold. Holding it already is no error. The caller must hold all that it allows, and all ' +
        'that the user may.',
      params: ofUser,
      body: ref(RoleGrantSchema),
      response: replies,
    },
    handler: async request => ({
      roles: await changeRoles(
        deps,
        originOf(request),
        principalOf(request),
        request.params.id,
        held => [...held, request.body.role],
        'role',
      ),
    }),
  })

  app.route({
    method: 'DELETE',
    url: '/users/:id/roles/:role',
    config: changing,
    schema: {
      operationId: 'revokeUserRole',
      tags,
      summary: 'Take a role from a user',
      description: 'Not holding it is no error. `user` can’t be taken from anybody.',
      params: Type.Object({ id: idOf('the user'), role: RoleName }),
      response: { ...replies, ...problemResponses('not_found', 'last_administrator', 'system_role') },
    },
    async handler(request) {
      const { id, role } = request.params
      if (role === defaultRole) throw new ProblemError('system_role')
      const without = (held: readonly string[]) => held.filter(one => one !== role)
      return { roles: await changeRoles(deps, originOf(request), principalOf(request), id, without) }
    },
  })
}
