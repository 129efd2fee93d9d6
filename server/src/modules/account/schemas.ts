import { Type } from 'typebox'
import { nullable } from '../../http/schemas.ts'
import { userExample } from '../users/index.ts'

const timestamp = (description: string) => nullable(Type.String({ format: 'date-time', description }))

export const StatsSchema = Type.Object(
  {
    profile_completeness: Type.Object(
      {
        percent: Type.Integer({ minimum: 0, maximum: 100 }),
        missing: Type.Array(Type.String(), { description: 'What would complete it' }),
      },
      { additionalProperties: false },
    ),
    account_age_days: Type.Integer({ description: 'Whole days since registration' }),
    logins: Type.Integer({ description: 'Completed logins so far' }),
    active_sessions: Type.Integer(),
    settings_changed: Type.Integer({ description: 'Preferences and settings with a value of one’s own' }),
    last_login_at: timestamp('Last completed login'),
    last_activity_at: timestamp('Last authenticated request, at most a minute late'),
  },
  {
    $id: 'UserStats',
    description: 'Figures about one’s own account.',
    examples: [
      {
        profile_completeness: { percent: 60, missing: ['bio', 'skills'] },
        account_age_days: 31,
        logins: 12,
        active_sessions: 2,
        settings_changed: 3,
        last_login_at: '2026-02-28T08:00:00.000Z',
        last_activity_at: '2026-03-03T10:00:00.000Z',
      },
    ],
    additionalProperties: false,
  },
)

export const ExportSchema = Type.Unsafe<Record<string, unknown>>({
  $id: 'UserExport',
  type: 'object',
  required: ['exported_at', 'user', 'profile'],
  properties: { exported_at: { type: 'string', format: 'date-time' } },
  additionalProperties: true,
  examples: [
    {
      exported_at: '2026-03-03T10:00:00.000Z',
      user: userExample,
      profile: {},
      preferences: {},
      sessions: [],
    },
  ],
  description:
    'Everything held about the user: record, profile, preferences, settings, sessions, devices, activity, ' +
    'messages, events. Passwords, tokens, codes and other secrets never.',
})
