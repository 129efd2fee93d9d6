import { type Static, Type } from 'typebox'
import { NextCursor, pageParameters, ref } from '../../../http/schemas.ts'
import { UserSchema, userExample } from '../schemas.ts'

const Sort = Type.Union(
  [
    Type.Literal('created_at'),
    Type.Literal('-created_at'),
    Type.Literal('username'),
    Type.Literal('-username'),
    Type.Literal('email'),
    Type.Literal('-email'),
    Type.Literal('last_login_at'),
    Type.Literal('-last_login_at'),
  ],
  {
    description: 'A minus means descending. Who never logged in comes before all others. Default -created_at',
  },
)

export type UserSort = Static<typeof Sort>

const time = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }))

export const UserListQuerySchema = Type.Object(
  {
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 254,
        description:
          'The beginning of a username, e-mail address or full name, in this order; of a phone number where it ' +
          'begins with “+”; or an id. Of a domain with other letters than a to z whole labels count. Gives the first ' +
          '1,000 that match',
      }),
    ),
    role: Type.Optional(
      Type.String({
        maxLength: 50,
        description: 'Its holders; `user` is everybody whose `role` is `user`: all but administrators',
      }),
    ),
    status: Type.Optional(
      Type.Union([Type.Literal('active'), Type.Literal('inactive'), Type.Literal('deleted')], {
        description: '`inactive`: deactivated, and not deleted',
      }),
    ),
    premium: Type.Optional(Type.Boolean({ description: 'Whether they are premium users now' })),
    created_after: time('Registered at this moment or later'),
    created_before: time('Registered before this moment'),
    last_login_before: time(
      'Logged in, and not since this moment. Only with an order by last_login_at, which is the default then',
    ),
    sort: Type.Optional(Sort),
    ...pageParameters(),
  },
  { additionalProperties: false },
)

export type UserListQuery = Static<typeof UserListQuerySchema>

export const UserListSchema = Type.Object(
  {
    items: Type.Array(ref(UserSchema)),
    next_cursor: NextCursor,
    total_estimate: Type.Integer({
      description:
        'Exact where all fit on one page. Else what the database thinks: within some per cent for one condition, ' +
        'less exact for `premium`, for several conditions and for a search',
    }),
  },
  {
    $id: 'UserList',
    description: 'A page of users.',
    examples: [{ items: [userExample], next_cursor: null, total_estimate: 1 }],
    additionalProperties: false,
  },
)

export type UserList = Static<typeof UserListSchema>
