import { type Static, Type } from 'typebox'
import { NextCursor, nullable, pageParameters, ref } from '../../http/schemas.ts'

const Outcome = Type.Union([Type.Literal('success'), Type.Literal('failure'), Type.Literal('denied')], {
  description: '`failure`: it was tried and did not work; `denied`: it was not allowed',
})

const entryExample = {
  id: '019c1379-aa00-7000-8000-000000000002',
  occurred_at: '2026-01-31T10:00:00.000Z',
  action: 'role.granted',
  outcome: 'success',
  actor: { type: 'user', id: '019c1379-0000-7000-8000-000000000003' },
  subject: { type: 'user', id: '019c1379-3f00-7000-8000-000000000000' },
  session_id: '019c1379-9a00-7000-8000-000000000001',
  request_id: '5f1c0c9a2b7e-4k',
  ip: '192.0.2.7',
  user_agent: 'Mozilla/5.0',
  changed_fields: [],
  details: { role: 'support' },
}

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
  {
    $id: 'AuditEntry',
    description: 'One row of the audit log.',
    examples: [entryExample],
    title: 'Audit entry',
    additionalProperties: false,
  },
)

export type AuditEntryView = Static<typeof AuditEntrySchema>

export const AuditListSchema = Type.Object(
  {
    items: Type.Array(ref(AuditEntrySchema)),
    next_cursor: NextCursor,
  },
  {
    $id: 'AuditList',
    description: 'A page of the audit log, newest first.',
    examples: [{ items: [entryExample], next_cursor: null }],
    additionalProperties: false,
  },
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

const AuditFilterSchema = Type.Object(auditFilters)

export type AuditQuery = Static<typeof AuditFilterSchema>

export const AuditQuerySchema = Type.Object(
  { ...auditFilters, ...pageParameters() },
  { additionalProperties: false },
)

export const PagingSchema = Type.Object(pageParameters(), { additionalProperties: false })

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
    next_cursor: NextCursor,
  },
  {
    $id: 'Activity',
    description: 'A page of what happened to an account, newest first.',
    examples: [
      {
        items: [
          {
            id: '019c1379-aa00-7000-8000-000000000004',
            occurred_at: '2026-01-31T10:00:00.000Z',
            action: 'login',
            outcome: 'success',
            method: 'password+totp',
            by: 'self',
            ip: '192.0.2.7',
            user_agent: 'Mozilla/5.0',
            changed_fields: [],
          },
        ],
        next_cursor: null,
      },
    ],
    additionalProperties: false,
  },
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
  {
    $id: 'AuditVerification',
    description: 'Whether the log is whole, and what is wrong where it is not.',
    examples: [
      {
        ok: true,
        rows: 48_210,
        seals: 9_312,
        unsealed: 0,
        erased: 17,
        head: '9312:x9yMTQ2CGs09EYsPKA_zds6xwbHF_z0Yb81bkGbf44E',
        problems: [],
      },
    ],
    additionalProperties: false,
  },
)
