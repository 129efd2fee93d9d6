import { html } from '../lib/html.ts'
import { originOf } from '../modules/audit/index.ts'
import type { PagesDeps } from './deps.ts'
import { formTo, type Page } from './page.ts'
import { button, buttonLink, lead } from './parts.ts'
import { calledName } from './visitor.ts'

/** `/sign-out`: asks, since a link alone must sign nobody out. */
export const signOutPage = (deps: PagesDeps): Page => ({
  path: '/sign-out',
  async get(visit) {
    const { say } = visit
    const visitor = await visit.visitor()
    // A session that the cookie of pages does not name may be there all the same.
    if (!visitor && deps.browserMode.refreshToken(visit.request) === undefined)
      return { redirect: '/signed-out' }
    return {
      title: say('account.sign_out_title'),
      body: html`${visitor && lead(say('account.sign_out_text', { name: calledName(visitor) }))}${formTo(
        '/sign-out',
        [button(say('common.sign_out'))],
      )}${buttonLink(deps.appUrl ?? '/account', say('common.cancel'), 'plain')}`,
    }
  },
  async post(visit) {
    const visitor = await visit.visitor()
    const origin = originOf(visit.request, visitor?.principal)
    const refreshToken = deps.browserMode.refreshToken(visit.request)
    if (visitor)
      await deps.sessions.end(origin, visitor.principal.userId, visitor.principal.sessionId, 'logout')
    if (refreshToken !== undefined) await deps.sessions.endByRefreshToken(origin, refreshToken, 'logout')
    return { redirect: '/signed-out', cookies: [reply => deps.browserMode.clear(reply)] }
  },
})

/** `/signed-out` */
export const signedOutPage = (deps: PagesDeps): Page => ({
  path: '/signed-out',
  get: ({ say }) => ({
    title: say('account.signed_out_title'),
    body: html`${lead(say('account.signed_out'))}${buttonLink('/sign-in', say('common.sign_in'))}${
      deps.appUrl !== undefined &&
      buttonLink(deps.appUrl, say('common.go_to_app', { brand: deps.look.brandName }), 'plain')
    }`,
  }),
})
