import { type Static, Type } from 'typebox'
import { nullable } from '../../../http/schemas.ts'

export const UpgradeSchema = Type.Object(
  {
    months: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 120,
        description: 'For how long; without it, until further notice',
      }),
    ),
  },
  { $id: 'Upgrade', additionalProperties: false, examples: [{ months: 12 }] },
)

export const SubscriptionChangeSchema = Type.Object(
  {
    tier: Type.Unsafe<'free' | 'premium'>({ type: 'string', enum: ['free', 'premium'] }),
    expires_at: Type.Optional(
      nullable(
        Type.String({
          format: 'date-time',
          description: 'When premium ends by itself; null: never. Only with the tier `premium`',
        }),
      ),
    ),
  },
  {
    $id: 'SubscriptionChange',
    additionalProperties: false,
    examples: [{ tier: 'premium', expires_at: '2027-01-31T10:00:00.000Z' }],
  },
)

export type SubscriptionChange = Static<typeof SubscriptionChangeSchema>
