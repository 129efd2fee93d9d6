import { type Static, Type } from 'typebox'
import { NextCursor, nullable } from '../http/schemas.ts'

const Time = Type.String({ format: 'date-time' })
const Id = Type.String({ format: 'uuid' })
const Channel = Type.Union([Type.Literal('email'), Type.Literal('sms')])
export const StateSchema = Type.Union(
  [Type.Literal('queued'), Type.Literal('sent'), Type.Literal('dead'), Type.Literal('suppressed')],
  { description: '`dead`: given up after every attempt; `suppressed`: its number wants no text messages' },
)

const messageExample = {
  id: '019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b',
  channel: 'email',
  template: 'password_changed',
  to: 'ada@example.com',
  user_id: '019c1a2b-0000-7e5f-8a6b-9c0d1e2f3a4b',
  state: 'dead',
  attempts: 10,
  created_at: '2026-01-31T10:00:00.000Z',
  next_attempt_at: null,
  useful_until: '2026-02-03T10:00:00.000Z',
  finished_at: '2026-02-01T02:12:40.000Z',
  provider: null,
  provider_id: null,
  provider_status: null,
  last_error: 'no connection',
}

export const MessageSchema = Type.Object(
  {
    id: Id,
    channel: Channel,
    template: Type.String(),
    to: Type.String(),
    user_id: nullable(Id),
    state: StateSchema,
    attempts: Type.Integer({ description: 'Since it was queued, or queued again.' }),
    created_at: Time,
    next_attempt_at: nullable(Time),
    useful_until: Type.String({ format: 'date-time', description: 'After this it is not sent any more.' }),
    finished_at: nullable(Time),
    provider: nullable(Type.String()),
    provider_id: nullable(Type.String()),
    provider_status: nullable(Type.String({ description: 'What the provider has reported since.' })),
    last_error: nullable(Type.String()),
  },
  {
    $id: 'Message',
    additionalProperties: false,
    description: 'A mail or text message on its way. What it says is shown to nobody.',
    examples: [messageExample],
  },
)

export type Message = Static<typeof MessageSchema>

export const MessageListSchema = Type.Object(
  { items: Type.Array(MessageSchema), next_cursor: NextCursor },
  {
    $id: 'MessageList',
    description: 'A page of messages, newest first.',
    examples: [{ items: [messageExample], next_cursor: null }],
    additionalProperties: false,
  },
)

export const SmsSendSchema = Type.Object(
  {
    to: Type.String({ description: 'E.164.', maxLength: 40 }),
    text: Type.String({ minLength: 1, maxLength: 1600, description: 'Sent in parts beyond 160 characters.' }),
  },
  {
    $id: 'SmsSend',
    additionalProperties: false,
    examples: [{ to: '+12025550123', text: 'Your order has arrived.' }],
  },
)

export const MailboxMessageSchema = Type.Object(
  {
    id: Id,
    channel: Channel,
    to: Type.String(),
    subject: nullable(Type.String()),
    text: Type.String(),
    html: nullable(Type.String()),
    purpose: Type.String(),
    code: nullable(Type.String({ description: 'What a person would read out of it.' })),
    link: nullable(Type.String()),
    created_at: Time,
  },
  {
    $id: 'MailboxMessage',
    description: 'A message that the mailbox of development kept.',
    additionalProperties: false,
  },
)

export type MailboxMessage = Static<typeof MailboxMessageSchema>

export const MailboxSchema = Type.Object(
  { items: Type.Array(MailboxMessageSchema) },
  {
    $id: 'Mailbox',
    description: 'What the mailbox of development kept, newest first.',
    examples: [
      {
        items: [
          {
            id: '019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b',
            channel: 'sms',
            to: '+12025550123',
            subject: null,
            text: '123456 is your code.',
            html: null,
            purpose: 'phone_code',
            code: '123456',
            link: null,
            created_at: '2026-01-31T10:00:00.000Z',
          },
        ],
      },
    ],
    additionalProperties: false,
  },
)
