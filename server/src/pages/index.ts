import type { FastifyReply } from 'fastify'
import type { Config } from '../config.ts'
import { toProblem } from '../http/errors.ts'
import { acceptForms } from '../http/form-body.ts'
import type { App } from '../http/types.ts'
import { loadCatalogue } from '../words/catalogue.ts'
import { accountPage } from './account.ts'
import { createPageCookies } from './cookies.ts'
import type { PagesDeps } from './deps.ts'
import { enrolBySending, enrolPage, enrolTotpPage, newPasskeyPage, recoveryCodesPage } from './enrol.ts'
import { forgotPasswordPage } from './forgot-password.ts'
import { linkPagesOf } from './links.ts'
import { type Asset, createLook } from './look.ts'
import { addPage, type Outcome, type Page, problemPage, send, startVisit } from './page.ts'
import { createRepeats } from './repeats.ts'
import { secondFactorPage, sendCodePage } from './second-factor.ts'
import { setupDonePage, setupPage } from './setup.ts'
import { namePage, passkeySignIn, passwordPage } from './sign-in.ts'
import { signedOutPage, signOutPage } from './sign-out.ts'
import { addressConfirmedPage, checkMailPage, signUpPage } from './sign-up.ts'
import { createVisitorReader } from './visitor.ts'

const pages: readonly ((deps: PagesDeps) => Page)[] = [
  namePage,
  passwordPage,
  passkeySignIn,
  secondFactorPage,
  sendCodePage,
  enrolPage,
  enrolTotpPage,
  deps => enrolBySending(deps, 'sms'),
  deps => enrolBySending(deps, 'email'),
  deps => newPasskeyPage(deps, 'demanded'),
  deps => newPasskeyPage(deps, 'offered'),
  recoveryCodesPage,
  signUpPage,
  checkMailPage,
  addressConfirmedPage,
  forgotPasswordPage,
  signOutPage,
  signedOutPage,
  accountPage,
  setupPage,
  setupDonePage,
]

/** What the pages make for themselves. */
type Own = 'catalogue' | 'cookies' | 'look' | 'repeats' | 'readVisitor'

/**
 * HTML from the server for everybody before they have a session, and for whoever an application sends here. Forms
 * that post; no script is needed but for passkeys. What they do, the use cases behind the API do.
 */
export async function pageRoutes(
  app: App,
  config: Config,
  services: Omit<PagesDeps, Own | 'publicUrl' | 'appUrl' | 'smsAvailable'>,
): Promise<void> {
  const deps: PagesDeps = {
    ...services,
    publicUrl: config.publicUrl,
    appUrl: config.appUrl,
    smsAvailable: config.smsProvider !== 'none',
    catalogue: loadCatalogue(config.localesDir),
    cookies: createPageCookies(app, config.publicUrl),
    look: createLook(config),
    repeats: createRepeats<Outcome>(),
    readVisitor: createVisitorReader(services),
  }
  await app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers()
    acceptForms(scope)
    scope.setErrorHandler((error, request, reply) => {
      const visit = startVisit(deps, request, reply)
      return send(deps, visit, reply, problemPage(visit, toProblem(error)))
    })
    assetRoute(scope, deps.look.script)
    if (deps.look.logo?.asset) assetRoute(scope, deps.look.logo.asset)
    for (const page of [...pages.map(make => make(deps)), ...linkPagesOf(deps)]) addPage(scope, deps, page)
  })
}

/** A file whose address changes with it: browsers may keep it for ever. */
function assetRoute(scope: App, { path, type, content }: Asset): void {
  const options = { schema: { hide: true }, config: { access: 'public' } } as const
  scope.get(path, options, (_request, reply: FastifyReply) =>
    reply
      .header('cache-control', 'public, max-age=31536000, immutable')
      .header('cross-origin-resource-policy', 'same-origin')
      .type(type)
      .send(content),
  )
}
