import type { preHandlerHookHandler } from 'fastify'
import { Type } from 'typebox'
import { checkAll } from '../../http/field-rules.ts'
import { principalOf } from '../../http/guard.ts'
import { sendJsonText } from '../../http/json-text.ts'
import { can } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { idParams, NoBody, problemResponses, ref } from '../../http/schemas.ts'
import { stepUpSentence } from '../../http/step-up.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import {
  checkListQuery,
  createUserList,
  namePlaces,
  readFields,
  refuseElsewhere,
  refuseOwnPrivileges,
  UserListQuerySchema,
  UserListSchema,
  UserSchema,
} from '../users/index.ts'
import { changeUser } from './change-user.ts'
import { createByAdministrator, readNewAccount } from './create-user.ts'
import type { AdministrationDeps } from './deps.ts'
import { type UserChanges, UserChangesSchema, type UserCreation, UserCreationSchema } from './schemas.ts'
import { erase, remove } from './user-state.ts'

const tags = ['administration']
const ofUser = idParams('the user')

/** List, create, change and delete users. */
export function userAdministrationRoutes(app: App, deps: AdministrationDeps): void {
  const listUsers = createUserList({ db: deps.store.db, cursorKey: deps.cursorKey })
  for (const schema of [UserListSchema, UserCreationSchema, UserChangesSchema]) app.addSchema(schema)

  app.route({
    method: 'GET',
    url: '/users',
    config: { access: { permission: 'users:read' }, rules: checkListQuery },
    schema: {
      operationId: 'listUsers',
      tags,
      summary: 'List users',
      description:
        'Page by page, in an order that stays the same while users come and go. Filters narrow; with `q` the ' +
        'order is: usernames that begin with it, then e-mail addresses, then full names.',
      querystring: UserListQuerySchema,
      response: { 200: ref(UserListSchema) },
    },
    handler: request => listUsers(request.query, deps.clock.now()),
  })

  app.route({
    method: 'POST',
    url: '/users',
    config: {
      access: { permission: 'users:create' },
      rules: (input: UserCreation) => readNewAccount(deps, input),
    },
    schema: {
      operationId: 'createUser',
      tags,
      summary: 'Invite or import a user',
      description:
        'Sends an invitation with a link for choosing a password; with `password_hash` takes over that of ' +
        'another system and sends nothing. Roles may allow no more than the caller may. ' +
        `With roles, \`password_hash\` or \`email_verified\`: ${stepUpSentence.highest}`,
      body: ref(UserCreationSchema),
      response: {
        201: ref(UserSchema),
        ...problemResponses(
          'step_up_required',
          'email_taken',
          'username_taken',
          'phone_taken',
          'otp_quota_exceeded',
        ),
      },
    },
    async handler(request, reply) {
      const id = await createByAdministrator(deps, originOf(request), principalOf(request), request.body)
      reply.code(201)
      return deps.users.read(id)
    },
  })

  for (const method of ['PUT', 'PATCH'] as const) {
    app.route({
      method,
      url: '/users/:id',
      config: {
        access: { permission: 'users:update' },
        rules: (input: UserChanges) =>
          checkAll(
            () => namePlaces(input, changedElsewhere),
            () => readFields(input, deps.isReservedUsername),
          ),
      },
      preHandler: refuseOnOneself,
      schema: {
        operationId: method === 'PUT' ? 'updateUser' : 'patchUser',
        tags,
        summary: 'Change a user',
        description:
          'Takes any of the fields; those left out stay as they are. Another e-mail address ends the sessions, ' +
          'and the old one gets a link that undoes it. Users who may do more than the caller can’t be changed. On ' +
          'one’s own id it takes what `PUT /users/me` takes: the rest has routes that ask for a proof. What somebody ' +
          `signs in with (e-mail address, username, phone number, \`email_verified\`): ${stepUpSentence.highest}`,
        params: ofUser,
        body: ref(UserChangesSchema),
        response: {
          200: ref(UserSchema),
          ...problemResponses(
            'step_up_required',
            'forbidden_field',
            'not_found',
            'email_taken',
            'username_taken',
            'phone_taken',
          ),
        },
      },
      async handler(request, reply) {
        const { id } = request.params
        await changeUser(deps, originOf(request), principalOf(request), id, request.body)
        return sendJsonText(reply, await deps.users.readJson(id))
      },
    })
  }

  app.route({
    method: 'DELETE',
    url: '/users/:id',
    config: { access: { permission: 'users:delete' }, stepUp: 'highest' },
    schema: {
      operationId: 'deleteUser',
      tags,
      summary: 'Delete or erase a user',
      description:
        'Deletes softly: inactive at once, restorable until the account is erased. `erase=true` erases for good, ' +
        'and needs the permission `users:erase` as well. On one’s own id it does what `DELETE /users/me` does.',
      params: ofUser,
      querystring: Type.Object(
        { erase: Type.Optional(Type.Boolean({ description: 'For good, at once' })) },
        { additionalProperties: false },
      ),
      response: {
        204: NoBody,
        ...problemResponses('not_found', 'last_administrator'),
      },
    },
    async handler(request, reply) {
      const principal = principalOf(request)
      const { id } = request.params
      if (request.query.erase) {
        if (!can(principal, 'users:erase')) {
          throw new ProblemError('forbidden', { detail: 'This needs the permission users:erase.' })
        }
        await erase(deps, originOf(request), principal, id)
      } else await remove(deps, originOf(request), principal, id)
      return reply.code(204).send()
    },
  })
}

/** Fields that have routes of their own, with the checks that they need. */
const changedElsewhere: Readonly<Record<string, string>> = {
  role: 'PUT /api/v1/users/{id}/roles',
  roles: 'PUT /api/v1/users/{id}/roles',
  is_active: 'POST /api/v1/users/{id}/deactivate or /restore',
  is_premium: 'PUT /api/v1/users/{id}/subscription',
  subscription: 'PUT /api/v1/users/{id}/subscription',
  password: 'POST /api/v1/users/{id}/password-reset: nobody chooses another’s password',
}

/** Rights over others spare nobody the proofs that their own record asks of them. */
const refuseOnOneself: preHandlerHookHandler = (request, _reply, done) => {
  // The route's schema has checked the parameters.
  const { id } = request.params as { id: string }
  if (id === principalOf(request).userId) {
    refuseOwnPrivileges(request.body)
    refuseElsewhere(request.body)
  }
  done()
}
