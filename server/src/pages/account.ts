import { html } from '../lib/html.ts'
import type { PagesDeps } from './deps.ts'
import { withVisitor } from './enrol.ts'
import type { Page } from './page.ts'
import { buttonLink, lead } from './parts.ts'
import { calledName } from './visitor.ts'

/** `/account`: who is signed in here, and where to go on. */
export const accountPage = (deps: PagesDeps): Page => ({
  path: '/account',
  get: visit =>
    withVisitor(deps, visit, async visitor => ({
      title: visit.say('account.signed_in_title'),
      body: html`${lead(visit.say('account.signed_in_as', { name: calledName(visitor) }))}<p class="who"><bdi>${visitor.user.email}</bdi></p>
${
  deps.appUrl !== undefined &&
  buttonLink(deps.appUrl, visit.say('common.go_to_app', { brand: deps.look.brandName }))
}${buttonLink('/sign-out', visit.say('common.sign_out'), 'plain')}`,
    })),
})
