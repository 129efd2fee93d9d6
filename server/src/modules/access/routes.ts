import { Type } from 'typebox'
import type { Store } from '../../db/store.ts'
import { principalOf } from '../../http/guard.ts'
import { NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { AuditListSchema, listAudit, originOf, PagingSchema } from '../audit/index.ts'
import { grantRoutes } from './grant-routes.ts'
import { checkPermission, listMembers } from './members.ts'
import { permissions } from './permissions.ts'
import { createRole, deleteRole, listRoles, readRole, updateRole } from './roles.ts'
import {
  NewRoleSchema,
  PermissionAnswerSchema,
  PermissionCheckSchema,
  PermissionListSchema,
  RoleChangesSchema,
  RoleGrantSchema,
  RoleListSchema,
  RoleMembersSchema,
  RoleName,
  RoleSchema,
  RoleSetSchema,
  UserRolesSchema,
} from './schemas.ts'

export type AccessDeps = { store: Store; clock: Clock; cursorKey: Buffer }

const roleChanges = ['role.created', 'role.updated', 'role.deleted', 'role.granted', 'role.revoked'] as const

const schemas = [
  PermissionListSchema,
  RoleSchema,
  RoleListSchema,
  NewRoleSchema,
  RoleChangesSchema,
  RoleMembersSchema,
  UserRolesSchema,
  RoleSetSchema,
  RoleGrantSchema,
  PermissionCheckSchema,
  PermissionAnswerSchema,
]

/** Roles and permissions, under `/rbac`, and who holds them. */
export function accessRoutes(app: App, deps: AccessDeps): void {
  for (const schema of schemas) app.addSchema(schema)
  grantRoutes(app, deps)
  const named = Type.Object({ name: RoleName })
  const tags = ['roles']

  app.route({
    method: 'GET',
    url: '/rbac/permissions',
    config: { access: { permission: 'roles:read' } },
    schema: {
      operationId: 'listPermissions',
      tags,
      summary: 'List all permissions',
      description: 'What roles are made of.',
      response: { 200: ref(PermissionListSchema) },
    },
    handler: () => ({
      items: Object.entries(permissions).map(([name, description]) => ({ name, description })),
    }),
  })

  app.route({
    method: 'GET',
    url: '/rbac/roles',
    config: { access: { permission: 'roles:read' } },
    schema: {
      operationId: 'listRoles',
      tags,
      summary: 'List roles',
      description: 'All of them, system roles first.',
      response: { 200: ref(RoleListSchema) },
    },
    handler: async () => ({ items: await listRoles(deps) }),
  })

  app.route({
    method: 'POST',
    url: '/rbac/roles',
    config: { access: { permission: 'roles:manage' }, stepUp: 'highest' },
    schema: {
      operationId: 'createRole',
      tags,
      summary: 'Create a role',
      description: 'With permissions that the caller holds.',
      body: ref(NewRoleSchema),
      response: { 201: ref(RoleSchema), ...problemResponses('role_taken') },
    },
    async handler(request, reply) {
      const role = await createRole(deps, originOf(request), principalOf(request), request.body)
      return reply.code(201).send(role)
    },
  })

  app.route({
    method: 'GET',
    url: '/rbac/roles/:name',
    config: { access: { permission: 'roles:read' } },
    schema: {
      operationId: 'getRole',
      tags,
      summary: 'Read a role',
      description: 'With its permissions.',
      params: named,
      response: { 200: ref(RoleSchema), ...problemResponses('not_found') },
    },
    handler: request => readRole(deps, request.params.name),
  })

  app.route({
    method: 'PUT',
    url: '/rbac/roles/:name',
    config: { access: { permission: 'roles:manage' }, stepUp: 'highest' },
    schema: {
      operationId: 'updateRole',
      tags,
      summary: 'Change a role',
      description:
        'Fields left out stay as they are. Every holder’s next request obeys, without a new sign-in. The caller ' +
        'must hold all that the role allows, before and after; to change `requires_mfa`, or the roles `admin` and ' +
        '`user`, every permission.',
      params: named,
      body: ref(RoleChangesSchema),
      response: { 200: ref(RoleSchema), ...problemResponses('not_found', 'system_role') },
    },
    handler: request =>
      updateRole(deps, originOf(request), principalOf(request), request.params.name, request.body),
  })

  app.route({
    method: 'DELETE',
    url: '/rbac/roles/:name',
    config: { access: { permission: 'roles:manage' }, stepUp: 'highest' },
    schema: {
      operationId: 'deleteRole',
      tags,
      summary: 'Delete a role',
      description: 'One that nobody holds.',
      params: named,
      response: { 204: NoBody, ...problemResponses('not_found', 'system_role', 'role_in_use') },
    },
    async handler(request, reply) {
      await deleteRole(deps, originOf(request), principalOf(request), request.params.name)
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'GET',
    url: '/rbac/roles/:name/members',
    config: { access: { permission: 'roles:read' } },
    schema: {
      operationId: 'listRoleMembers',
      tags,
      summary: 'List who holds a role',
      description:
        'In order of registration. E-mail address, name and state are shown with `users:read` only, and so is ' +
        'who holds `user`, which everybody does.',
      params: named,
      querystring: PagingSchema,
      response: { 200: ref(RoleMembersSchema), ...problemResponses('not_found') },
    },
    handler(request) {
      const { limit = 20, cursor } = request.query
      const reading = { db: deps.store.db, cursorKey: deps.cursorKey }
      return listMembers(reading, principalOf(request), request.params.name, { limit, cursor })
    },
  })

  app.route({
    method: 'POST',
    url: '/rbac/check',
    config: { access: { permission: 'roles:read' }, rateLimit: 'read' },
    schema: {
      operationId: 'checkPermission',
      tags,
      summary: 'Ask whether a user may do something',
      description: 'Answers from the roles of this moment. Nobody who is inactive may do anything.',
      body: ref(PermissionCheckSchema),
      response: { 200: ref(PermissionAnswerSchema), ...problemResponses('not_found') },
    },
    handler: request => checkPermission(deps.store.db, request.body),
  })

  app.route({
    method: 'GET',
    url: '/rbac/audit',
    config: { access: { permission: 'audit:read' } },
    schema: {
      operationId: 'listRoleChanges',
      tags,
      summary: 'Read who changed roles and grants',
      description: 'The part of the audit log about them, newest first.',
      querystring: PagingSchema,
      response: { 200: ref(AuditListSchema) },
    },
    handler(request) {
      const { limit = 20, cursor } = request.query
      const reading = { db: deps.store.db, cursorKey: deps.cursorKey }
      return listAudit(reading, { actions: roleChanges }, { limit, cursor })
    },
  })
}
