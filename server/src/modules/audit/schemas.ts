import { type Static, Type } from 'typebox'
import { nullable, ref } from '../../http/schemas.ts'

const Outcome = Type.Union([Type.Literal('success'), Type.Literal('failure'), Type.Literal('denied')])

export const AuditEntrySchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    occurred_at: Type.String({ format: 'date-time' }),
    action: Type.String({ examples: ['role.granted'] }),
    outcome: Outcome,
    actor: Type.Object({
      type: Type.Union([
        Type.Literal('user'),
        Type.Literal('anonymous'),
        Type.Literal('operator'),
        Type.Literal('system'),
      ]),
      id: nullable(Type.String({ format: 'uuid' })),
    }),
    subject: Type.Union([
      Type.Object({ type: Type.String(), id: nullable(Type.String()) }, { additionalProperties: false }),
      Type.Null(),
    ]),
    session_id: nullable(Type.String({ format: 'uuid' })),
    request_id: nullable(Type.String()),
    ip: nullable(Type.String({ description: 'Null once its person was erased' })),
    user_agent: nullable(Type.String()),
    changed_fields: Type.Array(Type.String()),
    details: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'AuditEntry', title: 'Audit entry', additionalProperties: false },
)

export type AuditEntryView = Static<typeof AuditEntrySchema>

export const AuditListSchema = Type.Object(
  {
    items: Type.Array(ref(AuditEntrySchema)),
    next_cursor: nullable(Type.String({ description: 'For the next page; null on the last' })),
  },
  { $id: 'AuditList', additionalProperties: false },
)

const action = Type.String({ maxLength: 100, examples: ['login'] })

export const auditFilters = {
  actor: Type.Optional(Type.String({ format: 'uuid', description: 'Id of the user who acted' })),
  action: Type.Optional(
    Type.Array(action, {
      maxItems: 20,
      description: 'One or several, e.g. `action=login&action=role.granted`',
    }),
  ),
  subject: Type.Optional(
    Type.String({ maxLength: 100, description: 'Id of the user, or name of the role, it was done to' }),
  ),
  outcome: Type.Optional(Outcome),
  after: Type.Optional(Type.String({ format: 'date-time', description: 'From this moment on' })),
  before: Type.Optional(Type.String({ format: 'date-time', description: 'Before this moment' })),
}

const paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(
    Type.String({ maxLength: 2048, description: 'The `next_cursor` of the page before' }),
  ),
}

const AuditFilterSchema = Type.Object(auditFilters)

export type AuditQuery = Static<typeof AuditFilterSchema>

export const AuditQuerySchema = Type.Object({ ...auditFilters, ...paging }, { additionalProperties: false })

export const PagingSchema = Type.Object(paging, { additionalProperties: false })

export const ActivitySchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          id: Type.String({ format: 'uuid' }),
          occurred_at: Type.String({ format: 'date-time' }),
          action: Type.String({ examples: ['login'] }),
          outcome: Outcome,
          method: nullable(
            Type.String({
              description: 'What a sign-in proved, or which second factor it is about',
              examples: ['password+totp'],
            }),
          ),
          by: Type.Union(
            [
              Type.Literal('self'),
              Type.Literal('other_user'),
              Type.Literal('anonymous'),
              Type.Literal('operator'),
              Type.Literal('system'),
            ],
            { description: 'Who did it: `anonymous` is somebody who was not signed in' },
          ),
          ip: nullable(Type.String({ description: 'Null where somebody else with an account did it' })),
          user_agent: nullable(Type.String()),
          changed_fields: Type.Array(Type.String()),
        },
        { additionalProperties: false },
      ),
    ),
    next_cursor: nullable(Type.String()),
  },
  { $id: 'Activity', additionalProperties: false },
)

export type Activity = Static<typeof ActivitySchema>

export const VerificationRequestSchema = Type.Object(
  {
    head: Type.Optional(
      Type.String({
        maxLength: 100,
        description: 'The `head` of an earlier verification: tells whether the log still goes through it',
      }),
    ),
  },
  { $id: 'AuditVerificationRequest', additionalProperties: false, examples: [{}] },
)

export const VerificationSchema = Type.Object(
  {
    ok: Type.Boolean(),
    rows: Type.Integer(),
    seals: Type.Integer(),
    unsealed: Type.Integer({ description: 'Rows of the last second, which no seal covers yet' }),
    erased: Type.Integer({ description: 'Rows whose address and device were erased with their person' }),
    head: nullable(
      Type.String({ description: 'End of the chain: keep it elsewhere, and give it next time' }),
    ),
    problems: Type.Array(
      Type.Object(
        {
          kind: Type.Union([
            Type.Literal('row_changed'),
            Type.Literal('row_deleted'),
            Type.Literal('row_inserted'),
            Type.Literal('personal_changed'),
            Type.Literal('seal_changed'),
            Type.Literal('seals_missing'),
            Type.Literal('tail_missing'),
          ]),
          seal: nullable(Type.Integer()),
          audit_id: nullable(Type.String()),
          message: Type.String(),
        },
        { additionalProperties: false },
      ),
      { description: 'The first 100' },
    ),
  },
  { $id: 'AuditVerification', additionalProperties: false },
)
