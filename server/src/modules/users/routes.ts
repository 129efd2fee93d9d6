import type { FastifyRequest } from 'fastify'
import type { Store } from '../../db/store.ts'
import { checkAll } from '../../http/field-rules.ts'
import { principalOf } from '../../http/guard.ts'
import { sendJsonText } from '../../http/json-text.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { originOf } from '../audit/index.ts'
import { readFields } from './fields.ts'
import type { UserReader } from './reading.ts'
import { refuseElsewhere, refuseOwnPrivileges } from './refused-fields.ts'
import { type ProfileChanges, ProfileChangesSchema, UserSchema } from './schemas.ts'
import { updateProfile } from './update-profile.ts'

/** One's own record, under `/users/me` and under `/auth/me`. */
export function userRoutes(app: App, deps: { store: Store; clock: Clock; users: UserReader }): void {
  app.addSchema(UserSchema)
  app.addSchema(ProfileChangesSchema)
  const { users } = deps

  async function change(request: FastifyRequest & { body: ProfileChanges }): Promise<string> {
    const { userId } = principalOf(request)
    await updateProfile(deps.store, deps.clock.now(), originOf(request), userId, request.body)
    return users.readJson(userId)
  }

  for (const path of ['/users/me', '/auth/me']) {
    const twin =
      path === '/auth/me'
        ? { suffix: 'AuthMe', also: ' The same as `/users/me`.' }
        : { suffix: 'Me', also: '' }
    app.route({
      method: 'GET',
      url: path,
      config: { access: 'self' },
      schema: {
        operationId: `get${twin.suffix}`,
        tags: ['users'],
        summary: 'Read one’s own record',
        description: `The signed-in user, complete.${twin.also}`,
        response: { 200: ref(UserSchema), ...problemResponses('not_found') },
      },
      handler(request, reply) {
        const { userId } = principalOf(request)
        const known = users.peekJson(userId)
        // Callbacks, since a known user then costs no promise.
        if (known !== undefined) sendJsonText(reply, known)
        else {
          users.readJson(userId).then(
            json => sendJsonText(reply, json),
            error => reply.send(error),
          )
        }
      },
    })

    for (const method of ['PUT', 'PATCH'] as const) {
      app.route({
        method,
        url: path,
        config: { access: 'self', rules: checkOwnChange },
        preValidation: async ({ body }) => refuseOwnPrivileges(body),
        schema: {
          operationId: `${method === 'PUT' ? 'update' : 'patch'}${twin.suffix}`,
          tags: ['users'],
          summary: 'Change one’s own record',
          description:
            'Takes any of the fields; those left out stay as they are, `null` empties one. A change that changes ' +
            `nothing moves no timestamp and publishes nothing.${twin.also}`,
          body: ref(ProfileChangesSchema),
          response: {
            200: ref(UserSchema),
            ...problemResponses('forbidden_field', 'not_found'),
          },
        },
        async handler(request, reply) {
          return sendJsonText(reply, await change(request))
        },
      })
    }
  }
}

/** Of fields that are changed elsewhere nothing else is said. */
const checkOwnChange = (input: ProfileChanges): void =>
  checkAll(
    () => refuseElsewhere(input),
    () =>
      readFields(
        Object.fromEntries(
          Object.entries(input).filter(([field]) => Object.hasOwn(ProfileChangesSchema.properties, field)),
        ),
      ),
  )
