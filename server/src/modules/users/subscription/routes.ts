import { Type } from 'typebox'
import type { Store } from '../../../db/store.ts'
import { principalOf } from '../../../http/guard.ts'
import { sendJsonText } from '../../../http/json-text.ts'
import type { Principal } from '../../../http/principal.ts'
import { ProblemError } from '../../../http/problems.ts'
import { readTime } from '../../../http/read-time.ts'
import { idParams, problemResponses, ref } from '../../../http/schemas.ts'
import type { App } from '../../../http/types.ts'
import type { Clock } from '../../../lib/clock.ts'
import { originOf } from '../../audit/index.ts'
import type { UserReader } from '../reading.ts'
import { UserSchema } from '../schemas.ts'
import { downgraded, setSubscription, type Terms, upgraded } from './change.ts'
import { type SubscriptionChange, SubscriptionChangeSchema, UpgradeSchema } from './schemas.ts'

export type SubscriptionDeps = {
  store: Store
  clock: Clock
  users: UserReader
  /** Who changes subscriptions: their users, or holders of `subscriptions:manage` alone. */
  subscriptions: 'self' | 'managed'
}

/** Premium on and off. */
export function subscriptionRoutes(app: App, deps: SubscriptionDeps): void {
  const { store, clock, users } = deps
  app.addSchema(UpgradeSchema)
  app.addSchema(SubscriptionChangeSchema)

  function refuseIfManaged(): void {
    if (deps.subscriptions === 'managed') throw new ProblemError('subscriptions_managed')
  }

  app.route({
    method: 'POST',
    url: '/users/me/upgrade',
    config: { access: 'self' },
    schema: {
      operationId: 'upgrade',
      tags: ['users'],
      summary: 'Become a premium user',
      description:
        'For some months, after which premium ends by itself, or until further notice. Months are added to what ' +
        'is left. Not with `SUBSCRIPTIONS=managed`.',
      body: Type.Union([ref(UpgradeSchema), Type.Null()], { description: 'May be left out.' }),
      response: { 200: ref(UserSchema), ...problemResponses('subscriptions_managed', 'not_found') },
    },
    async handler(request, reply) {
      refuseIfManaged()
      const principal = principalOf(request)
      const at = clock.now()
      await setSubscription(store, at, originOf(request), of(principal), present =>
        upgraded(present, at, request.body?.months),
      )
      return sendJsonText(reply, await users.readJson(principal.userId))
    },
  })

  app.route({
    method: 'POST',
    url: '/users/me/downgrade',
    config: { access: 'self' },
    schema: {
      operationId: 'downgrade',
      tags: ['users'],
      summary: 'End one’s premium',
      description: 'At once. Not with `SUBSCRIPTIONS=managed`.',
      response: { 200: ref(UserSchema), ...problemResponses('subscriptions_managed', 'not_found') },
    },
    async handler(request, reply) {
      refuseIfManaged()
      const principal = principalOf(request)
      await setSubscription(store, clock.now(), originOf(request), of(principal), () => downgraded)
      return sendJsonText(reply, await users.readJson(principal.userId))
    },
  })

  app.route({
    method: 'PUT',
    url: '/users/:id/subscription',
    config: { access: { permission: 'subscriptions:manage' } },
    schema: {
      operationId: 'setSubscription',
      tags: ['users'],
      summary: 'Set a user’s subscription',
      description:
        'For billing systems and administrators. Users who may do more than the caller are refused.',
      params: idParams('the user'),
      body: ref(SubscriptionChangeSchema),
      response: { 200: ref(UserSchema), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      const { id } = request.params
      const terms = readTerms(request.body)
      await setSubscription(
        store,
        clock.now(),
        originOf(request),
        { principal: principalOf(request), userId: id },
        () => terms,
      )
      return sendJsonText(reply, await users.readJson(id))
    },
  })
}

const of = (principal: Principal) => ({ principal, userId: principal.userId })

function readTerms({ tier, expires_at = null }: SubscriptionChange): Terms {
  if (expires_at === null) return { tier, expiresAt: null }
  if (tier === 'premium') return { tier, expiresAt: readTime(expires_at, '/expires_at') }
  const message = 'Only premium ends: with the tier free it takes null, or is left out.'
  throw new ProblemError('validation_failed', {
    errors: [{ path: '/expires_at', code: 'not_allowed', message }],
  })
}
