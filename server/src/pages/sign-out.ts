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
    if (!visitor) return { redirect: '/signed-out' }
    return {
      title: say('account.sign_out_title'),
      body: html`${lead(say('account.sign_out_text', { name: calledName(visitor) }))}${formTo('/sign-out', [
        button(say('common.sign_out')),
      ])}${buttonLink(deps.appUrl ?? '/account', say('common.cancel'), 'plain')}`,
    }
  },
  async post(visit) {
    const visitor = await visit.visitor()
    if (visitor) {
      const { userId, sessionId } = visitor.principal
      await deps.sessions.end(originOf(visit.request), userId, sessionId, 'logout')
    }
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
