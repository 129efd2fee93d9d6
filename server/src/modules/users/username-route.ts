import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { type ChangeUsernameDeps, changeUsername } from './change-username.ts'

const UsernameChangeSchema = Type.Object(
  { username: Type.String({ maxLength: 64 }) },
  { $id: 'UsernameChange', additionalProperties: false, examples: [{ username: 'new_username' }] },
)

const UsernameChangedSchema = Type.Object(
  { username: Type.String(), last_username_updated: Type.String({ format: 'date-time' }) },
  {
    $id: 'UsernameChanged',
    description: 'The new username, and when it was changed.',
    examples: [{ username: 'new_username', last_username_updated: '2026-01-31T10:00:00.000Z' }],
    additionalProperties: false,
  },
)

export function usernameRoute(app: App, deps: ChangeUsernameDeps): void {
  app.addSchema(UsernameChangeSchema)
  app.addSchema(UsernameChangedSchema)
  app.route({
    method: 'PUT',
    url: '/auth/profile/username',
    config: { access: 'self' },
    schema: {
      operationId: 'changeUsername',
      tags: ['profile'],
      summary: 'Change one’s username',
      description:
        'Once every 15 days. The old name is held for its owner as long: nobody else can take it meanwhile.',
      body: ref(UsernameChangeSchema),
      response: {
        200: ref(UsernameChangedSchema),
        ...problemResponses('username_unchanged', 'username_cooldown', 'username_taken', 'not_found'),
      },
    },
    async handler(request) {
      const { userId } = principalOf(request)
      const changed = await changeUsername(deps, originOf(request), userId, request.body.username)
      return {
        username: changed.username,
        last_username_updated: changed.last_username_updated.toISOString(),
      }
    },
  })
}
