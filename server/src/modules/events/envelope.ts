import { type Static, Type } from 'typebox'

export const eventExample = {
  id: '0197c0de-0000-7000-8000-000000000001',
  sequence: 1234,
  eventType: 'user.username_updated',
  occurredAt: '2026-01-31T10:00:00.000Z',
  data: {
    userId: '0197c0de-0000-7000-8000-000000000002',
    email: 'user@example.com',
    oldUsername: 'old_username',
    newUsername: 'new_username',
    updatedAt: '2026-01-31T10:00:00.000Z',
  },
}

/** An event as everybody outside sees it: in the feed, from the broker and in webhooks. */
export const EventSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'The same in every delivery of the event' }),
    sequence: Type.Integer({ description: 'Its place among all events, without gaps' }),
    eventType: Type.String({ examples: ['user.username_updated'] }),
    occurredAt: Type.String({ format: 'date-time' }),
    data: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      additionalProperties: true,
      description: 'Depends on the event type; see docs/events.md',
    }),
  },
  {
    $id: 'Event',
    additionalProperties: false,
    examples: [eventExample],
  },
)

export type Event = Static<typeof EventSchema>

/** What the outbox keeps of an event that has its number. */
export type OutboxEvent = {
  id: string
  /** A bigint, which the driver hands over as text. */
  sequence: string
  type: string
  user_id: string | null
  partition: number
  occurred_at: Date
  data: Record<string, unknown>
}

/** Numbers stay exact up to 2^53: at 10,000 events a second that is 28,000 years. */
export const toEvent = (row: OutboxEvent): Event => ({
  id: row.id,
  sequence: Number(row.sequence),
  eventType: row.type,
  occurredAt: row.occurred_at.toISOString(),
  data: row.data,
})
