import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import { sendJsonText } from '../../http/json-text.ts'
import { ProblemError } from '../../http/problems.ts'
import { idParams, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { JsonObject } from '../../lib/json.ts'
import { originOf } from '../audit/index.ts'
import { readPublicUser, type UserReader, viewOf } from '../users/index.ts'
import { etag, IfMatchHeaders, ifMatchOf, versioned } from './preconditions.ts'
import type { SettingsReader, ValuesJson, ValuesQuery } from './reading.ts'
import type { Scope } from './repo.ts'
import { SettingValuesSchema, ValueChangesSchema } from './schemas.ts'
import { changeValues, type ValuesDeps } from './values.ts'

type Deps = ValuesDeps & { reader: SettingsReader; users: UserReader }

const ValuesQuerySchema = Type.Object(
  {
    category: Type.Optional(Type.String({ maxLength: 100, description: 'Only keys of this category' })),
    include: Type.Optional(
      Type.Literal('definitions', { description: 'Adds the definitions, so that a form can be drawn' }),
    ),
  },
  { additionalProperties: false },
)

const values = versioned(SettingValuesSchema, 'The values')

const UserIdParams = idParams('the user')

const send = (reply: FastifyReply, { json, version }: ValuesJson): FastifyReply =>
  sendJsonText(reply.header('etag', etag(version)), json)

/** Users' preferences and settings. */
export function valueRoutes(app: App, deps: Deps): void {
  app.addSchema(SettingValuesSchema)
  app.addSchema(ValueChangesSchema)
  for (const kind of kinds) {
    ownRoutes(app, deps, kind)
    changeOthersRoute(app, deps, kind)
  }
  othersSettingsRoute(app, deps)
  othersPreferencesRoute(app, deps)
}

type Kind = { scope: Scope; path: string; suffix: string }

const kinds: readonly Kind[] = [
  { scope: 'preference', path: 'preferences', suffix: 'Preferences' },
  { scope: 'setting', path: 'settings', suffix: 'Settings' },
]

async function change(
  deps: Deps,
  request: FastifyRequest & { body: JsonObject },
  target: { userId: string; scope: Scope; mayWriteReadonly: boolean },
): Promise<ValuesJson> {
  const principal = principalOf(request)
  const { body } = request
  await changeValues(deps, originOf(request), { ...target, principal, body, ifMatch: ifMatchOf(request) })
  return deps.reader.read(target.userId, target.scope)
}

function ownRoutes(app: App, deps: Deps, { scope, path, suffix }: Kind): void {
  app.route({
    method: 'GET',
    url: `/users/me/${path}`,
    config: { access: 'self' },
    schema: {
      operationId: `get${suffix}`,
      tags: ['settings'],
      summary: `Read one’s own ${path}`,
      description: 'The values by key, with defaults for what was never set. `version` is for `If-Match`.',
      querystring: ValuesQuerySchema,
      response: { 200: values },
    },
    handler(request, reply) {
      const { userId } = principalOf(request)
      const query: ValuesQuery = request.query
      const known =
        query.category === undefined && query.include === undefined
          ? deps.reader.peek(userId, scope)
          : undefined
      // Callbacks, since known values then cost no promise.
      if (known !== undefined) send(reply, known)
      else {
        deps.reader.read(userId, scope, query).then(
          found => send(reply, found),
          error => reply.send(error),
        )
      }
    },
  })

  app.route({
    method: 'PUT',
    url: `/users/me/${path}`,
    config: { access: 'self' },
    schema: {
      operationId: `update${suffix}`,
      tags: ['settings'],
      summary: `Change one’s own ${path}`,
      description:
        'Takes `{key: value, …}` or `{values: {key: value, …}}`: all of them, or none and 422 with every bad key. ' +
        'Keys that are left out stay; null returns one to its default.',
      headers: IfMatchHeaders,
      body: ref(ValueChangesSchema),
      response: {
        200: values,
        ...problemResponses('not_found', 'settings_invalid', 'precondition_failed'),
      },
    },
    async handler(request, reply) {
      const { userId } = principalOf(request)
      return send(reply, await change(deps, request, { userId, scope, mayWriteReadonly: false }))
    },
  })
}

function othersSettingsRoute(app: App, deps: Deps): void {
  app.route({
    method: 'GET',
    url: '/users/:id/settings',
    config: { access: { permission: 'settings:manage' } },
    schema: {
      operationId: 'getUserSettings',
      tags: ['settings'],
      summary: 'Read a user’s settings',
      description: 'As the user sees them.',
      params: UserIdParams,
      querystring: ValuesQuerySchema,
      response: { 200: values, ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      await deps.users.readJson(request.params.id) // 404 where there is no such user
      return send(reply, await deps.reader.read(request.params.id, 'setting', request.query))
    },
  })
}

function changeOthersRoute(app: App, deps: Deps, { scope, path, suffix }: Kind): void {
  app.route({
    method: 'PUT',
    url: `/users/:id/${path}`,
    config: { access: { permission: 'settings:manage' } },
    schema: {
      operationId: `updateUser${suffix}`,
      tags: ['settings'],
      summary: `Change a user’s ${path}`,
      description:
        'As the user would, and read-only keys as well. Users who may do more than the caller are refused.',
      params: UserIdParams,
      headers: IfMatchHeaders,
      body: ref(ValueChangesSchema),
      response: {
        200: values,
        ...problemResponses('not_found', 'settings_invalid', 'precondition_failed'),
      },
    },
    async handler(request, reply) {
      const user = await deps.users.read(request.params.id)
      if (user.deleted_at !== null) throw new ProblemError('not_found')
      return send(reply, await change(deps, request, { userId: user.id, scope, mayWriteReadonly: true }))
    },
  })
}

function othersPreferencesRoute(app: App, deps: Deps): void {
  app.route({
    method: 'GET',
    url: '/users/:id/preferences',
    config: { access: 'self' },
    schema: {
      operationId: 'getUserPreferences',
      tags: ['settings'],
      summary: 'Read a user’s preferences',
      description:
        'All of them for the user themselves and with `users:read`; those that are public for premium users.',
      params: UserIdParams,
      response: { 200: values, ...problemResponses('premium_required', 'not_found') },
    },
    async handler(request, reply) {
      const { id } = request.params
      const view = await viewOf(deps.users, principalOf(request), id)
      if (view === 'public') {
        await readPublicUser(deps.store, id)
        const { json } = await deps.reader.readPublic(id, 'preference')
        return sendJsonText(reply, json)
      }
      await deps.users.readJson(id) // 404 where there is no such user
      return send(reply, await deps.reader.read(id, 'preference'))
    },
  })
}
