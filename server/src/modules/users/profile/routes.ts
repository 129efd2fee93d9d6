import { Type } from 'typebox'
import type { Store } from '../../../db/store.ts'
import { principalOf } from '../../../http/guard.ts'
import { sendJsonText } from '../../../http/json-text.ts'
import { idParams, pageParameters, problemResponses, ref } from '../../../http/schemas.ts'
import type { App } from '../../../http/types.ts'
import type { Clock } from '../../../lib/clock.ts'
import { originOf } from '../../audit/index.ts'
import type { UserReader } from '../reading.ts'
import { UserSchema } from '../schemas.ts'
import { searchUsers } from '../search/search.ts'
import { changeProfile, readProfile, readProfileUpdate } from './profiles.ts'
import { toPublicProfile, toPublicUser } from './public-view.ts'
import {
  ProfileSchema,
  ProfileUpdateSchema,
  PublicProfileSchema,
  PublicUserSchema,
  SearchPageSchema,
} from './schemas.ts'
import { readPublicUser, refuseToSearch, viewOf } from './viewing.ts'

export type ProfileDeps = { store: Store; clock: Clock; users: UserReader; cursorKey: Buffer }

const UserIdParams = idParams('the user')

/** One's own profile, and what others see of a user. */
export function profileRoutes(app: App, deps: ProfileDeps): void {
  for (const schema of [
    ProfileSchema,
    ProfileUpdateSchema,
    PublicProfileSchema,
    PublicUserSchema,
    SearchPageSchema,
  ]) {
    app.addSchema(schema)
  }
  ownProfileRoutes(app, deps)
  searchRoute(app, deps)
  otherUserRoutes(app, deps)
}

function ownProfileRoutes(app: App, { store, clock }: ProfileDeps): void {
  app.route({
    method: 'GET',
    url: '/users/me/profile',
    config: { access: 'self' },
    schema: {
      operationId: 'getProfile',
      tags: ['users'],
      summary: 'Read one’s own profile',
      description: 'The extended profile, complete.',
      response: { 200: ref(ProfileSchema), ...problemResponses('not_found') },
    },
    handler: request => readProfile(store.db, principalOf(request).userId),
  })

  app.route({
    method: 'PUT',
    url: '/users/me/profile',
    config: { access: 'self', rules: readProfileUpdate },
    schema: {
      operationId: 'updateProfile',
      tags: ['users'],
      summary: 'Change one’s own profile',
      description:
        'Takes any of the fields. `avatar_url`, `timezone` and `locale` are those of the record. A change that ' +
        'changes nothing moves no timestamp and publishes nothing.',
      body: ref(ProfileUpdateSchema),
      response: { 200: ref(ProfileSchema), ...problemResponses('not_found') },
    },
    async handler(request) {
      const { userId } = principalOf(request)
      await changeProfile(store, clock.now(), originOf(request), userId, request.body)
      return readProfile(store.db, userId)
    },
  })
}

function searchRoute(app: App, { store, users, cursorKey }: ProfileDeps): void {
  app.route({
    method: 'GET',
    url: '/users/search',
    config: { access: 'self' },
    schema: {
      operationId: 'searchUsers',
      tags: ['users'],
      summary: 'Search users',
      description:
        'For premium users and holders of `users:read`. `q` finds words in usernames and names: where a word ' +
        'begins with it first, then where it is inside of one (from two letters on); newest users first. ' +
        '`location` and `title` take beginnings of words, `skills` whole skills. All that is given must match. ' +
        'Private and inactive profiles never appear, and what a user hides is not searched.',
      querystring: Type.Object(
        {
          q: Type.Optional(Type.String({ maxLength: 100, description: 'Words of usernames and names' })),
          skills: Type.Optional(
            Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
              maxItems: 10,
              description: 'Repeated, or separated by commas; at least one where it is given',
            }),
          ),
          location: Type.Optional(Type.String({ maxLength: 100, description: 'Beginnings of words' })),
          title: Type.Optional(
            Type.String({ maxLength: 100, description: 'Beginnings of words of the current title' }),
          ),
          ...pageParameters(),
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(SearchPageSchema), ...problemResponses('premium_required', 'not_found') },
    },
    async handler(request) {
      await refuseToSearch(users, principalOf(request))
      const { skills, limit = 20, ...query } = request.query
      return searchUsers(store.pool, cursorKey, { ...query, limit, skills: skills?.flatMap(separate) })
    },
  })
}

const separate = (text: string): string[] => text.split(',').filter(part => part.trim() !== '')

function otherUserRoutes(app: App, { store, users }: ProfileDeps): void {
  app.route({
    method: 'GET',
    url: '/users/:id',
    config: { access: 'self' },
    schema: {
      operationId: 'getUser',
      tags: ['users'],
      summary: 'Read a user',
      description:
        'One’s own record and, with `users:read`, anybody’s is complete. Premium users see the public view of ' +
        'active users whose profile is not private. For anyone else another’s id is 403, whether it exists or not.',
      params: UserIdParams,
      response: {
        200: Type.Union([ref(UserSchema), ref(PublicUserSchema)], {
          description: 'The whole record, or what other users see of it.',
        }),
        ...problemResponses('premium_required', 'not_found'),
      },
    },
    async handler(request, reply) {
      const { id } = request.params
      if ((await viewOf(users, principalOf(request), id)) !== 'public') {
        return sendJsonText(reply, await users.readJson(id))
      }
      return sendJsonText(reply, JSON.stringify(toPublicUser(await readPublicUser(store, id))))
    },
  })

  app.route({
    method: 'GET',
    url: '/users/:id/profile',
    config: { access: 'self' },
    schema: {
      operationId: 'getUserProfile',
      tags: ['users'],
      summary: 'Read a user’s profile',
      description:
        'Complete for the user themselves and with `users:read`; the public part for premium users.',
      params: UserIdParams,
      response: {
        200: Type.Union([ref(ProfileSchema), ref(PublicProfileSchema)], {
          description: 'The whole profile, or what other users see of it.',
        }),
        ...problemResponses('premium_required', 'not_found'),
      },
    },
    async handler(request, reply) {
      const { id } = request.params
      const view = await viewOf(users, principalOf(request), id)
      const profile =
        view === 'public' ? toPublicProfile(await readPublicUser(store, id)) : await readProfile(store.db, id)
      return sendJsonText(reply, JSON.stringify(profile))
    },
  })
}
