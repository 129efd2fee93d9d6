import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import { sendJsonText } from '../../http/json-text.ts'
import { idOf, NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { changeDefinition, createDefinition, removeDefinition } from './change-definition.ts'
import { type DefinitionDeps, definitionVersions, findDefinition } from './definitions.ts'
import { findDryRun, startDryRun } from './dry-run.ts'
import { etag, IfMatchHeaders, ifMatchOf, versioned } from './preconditions.ts'
import {
  type Definition,
  DefinitionChangeSchema,
  DefinitionKeySchema,
  DefinitionListSchema,
  DefinitionSchema,
  DefinitionVersionsSchema,
  DryRunSchema,
  NewDefinitionSchema,
  OnInvalidSchema,
  ScopeSchema,
} from './schemas.ts'

const manage = { access: { permission: 'settings:manage' } } as const
/** A definition binds everybody, also those who may more than whoever changes it. */
const changing = { ...manage, stepUp: 'highest' } as const
const KeyParams = Type.Object({ key: DefinitionKeySchema }, { additionalProperties: false })

const send = (reply: FastifyReply, definition: Definition): FastifyReply =>
  sendJsonText(reply.header('etag', etag(definition.version)), JSON.stringify(definition))

/** What keys there are: for everybody to read, for administrators to define. */
export function definitionRoutes(app: App, deps: DefinitionDeps): void {
  for (const schema of [
    DefinitionSchema,
    NewDefinitionSchema,
    DefinitionChangeSchema,
    DefinitionListSchema,
    DefinitionVersionsSchema,
    DryRunSchema,
  ]) {
    app.addSchema(schema)
  }
  readRoutes(app, deps)
  createRoute(app, deps)
  changeRoutes(app, deps)
  dryRunRoutes(app, deps)
}

function readRoutes(app: App, deps: DefinitionDeps): void {
  app.route({
    method: 'GET',
    url: '/settings/definitions',
    config: { access: 'self' },
    schema: {
      operationId: 'listSettingDefinitions',
      tags: ['settings'],
      summary: 'List definitions',
      description: 'Every key with its type, rules and default, in the order in which a form shows them.',
      querystring: Type.Object(
        {
          scope: Type.Optional(ScopeSchema),
          category: Type.Optional(Type.String({ maxLength: 100, description: 'Only its definitions' })),
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(DefinitionListSchema) },
    },
    async handler(request, reply) {
      const { scope, category } = request.query
      const { now } = await deps.definitions.current()
      const items = (scope ? [now[scope]] : [now.preference, now.setting])
        .flatMap(view => [...view.values()].map(({ definition }) => definition))
        .filter(definition => category === undefined || definition.category === category)
      return sendJsonText(reply, JSON.stringify({ items }))
    },
  })

  app.route({
    method: 'GET',
    url: '/settings/definitions/:key',
    config: { access: 'self' },
    schema: {
      operationId: 'getSettingDefinition',
      tags: ['settings'],
      summary: 'Read a definition',
      description: 'A key with its type, rules and default. `version` is for `If-Match`.',
      params: KeyParams,
      response: { 200: versioned(DefinitionSchema, 'The definition'), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      return send(reply, await findDefinition(deps, request.params.key))
    },
  })
}

function createRoute(app: App, deps: DefinitionDeps): void {
  app.route({
    method: 'POST',
    url: '/settings/definitions',
    config: changing,
    schema: {
      operationId: 'createSettingDefinition',
      tags: ['settings'],
      summary: 'Define a key',
      description:
        'Users hold a value for it from then on: the default, until they set their own. Where values are left ' +
        'from an earlier definition of the key which this one makes invalid, it is refused, unless `on_invalid` ' +
        'says what becomes of them.',
      body: ref(NewDefinitionSchema),
      response: {
        201: versioned(DefinitionSchema, 'The definition'),
        ...problemResponses('setting_exists', 'stored_values_invalid', 'definition_change_running'),
      },
    },
    async handler(request, reply) {
      return send(reply.code(201), await createDefinition(deps, originOf(request), request.body))
    },
  })
}

function changeRoutes(app: App, deps: DefinitionDeps): void {
  app.route({
    method: 'PUT',
    url: '/settings/definitions/:key',
    config: changing,
    schema: {
      operationId: 'updateSettingDefinition',
      tags: ['settings'],
      summary: 'Change a definition',
      description:
        'What is left out stays; key and scope are fixed. A change that makes stored values invalid is refused, ' +
        'unless `on_invalid` says what becomes of them.',
      params: KeyParams,
      headers: IfMatchHeaders,
      body: ref(DefinitionChangeSchema),
      response: {
        200: versioned(DefinitionSchema, 'The definition'),
        ...problemResponses(
          'not_found',
          'precondition_failed',
          'stored_values_invalid',
          'definition_change_running',
        ),
      },
    },
    async handler(request, reply) {
      const { key } = request.params
      const definition = await changeDefinition(
        deps,
        originOf(request),
        key,
        request.body,
        ifMatchOf(request),
      )
      return send(reply, definition)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/settings/definitions/:key',
    config: changing,
    schema: {
      operationId: 'deleteSettingDefinition',
      tags: ['settings'],
      summary: 'Remove a definition',
      description:
        'Refused while users have values for the key, unless `on_invalid` says to remove those (`reset`) or to ' +
        'keep them, out of sight, for when the key is defined again (`keep`).',
      params: KeyParams,
      headers: IfMatchHeaders,
      querystring: Type.Object(
        { on_invalid: Type.Optional(OnInvalidSchema) },
        { additionalProperties: false },
      ),
      response: {
        204: NoBody,
        ...problemResponses(
          'not_found',
          'precondition_failed',
          'setting_in_use',
          'stored_values_invalid',
          'definition_change_running',
        ),
      },
    },
    async handler(request, reply) {
      const { params, query } = request
      await removeDefinition(deps, originOf(request), params.key, query.on_invalid, ifMatchOf(request))
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'GET',
    url: '/settings/definitions/:key/versions',
    config: manage,
    schema: {
      operationId: 'listSettingDefinitionVersions',
      tags: ['settings'],
      summary: 'Read a definition’s history',
      description: 'Every version, newest first (at most 200), with who made it.',
      params: KeyParams,
      response: { 200: ref(DefinitionVersionsSchema), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      return sendJsonText(reply, JSON.stringify(await definitionVersions(deps, request.params.key)))
    },
  })
}

function dryRunRoutes(app: App, deps: DefinitionDeps): void {
  app.route({
    method: 'POST',
    url: '/settings/definitions/:key/dry-run',
    config: manage,
    schema: {
      operationId: 'startSettingDryRun',
      tags: ['settings'],
      summary: 'Try a change of a definition',
      description:
        'How many stored values the changed definition would make invalid, with samples; for a key that is not ' +
        'defined, its new definition, with `setting_type`. 200 with the result, or, with many users, 202 and the ' +
        'address at which it can be followed.',
      params: KeyParams,
      body: ref(DefinitionChangeSchema),
      response: { 200: ref(DryRunSchema), 202: ref(DryRunSchema), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      const { key } = request.params
      const run = await startDryRun(deps, key, request.body, principalOf(request).userId)
      if (run.status === 'running') {
        reply
          .code(202)
          .header('location', `/api/v1/settings/definitions/${encodeURIComponent(key)}/dry-run/${run.id}`)
      }
      return sendJsonText(reply, JSON.stringify(run))
    },
  })

  app.route({
    method: 'GET',
    url: '/settings/definitions/:key/dry-run/:id',
    config: manage,
    schema: {
      operationId: 'getSettingDryRun',
      tags: ['settings'],
      summary: 'Follow a dry-run',
      description: 'How far it is, and what it found so far. Kept for a week.',
      params: Type.Object(
        { key: DefinitionKeySchema, id: idOf('the dry-run') },
        { additionalProperties: false },
      ),
      response: { 200: ref(DryRunSchema), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      const { key, id } = request.params
      return sendJsonText(reply, JSON.stringify(await findDryRun(deps, key, id)))
    },
  })
}
