import { originOf } from '../modules/audit/index.ts'
import type { StartedSession } from '../modules/sessions/index.ts'
import type { PagesDeps } from './deps.ts'
import { address, ownPath } from './next.ts'
import type { Cookie, Outcome, Visit } from './page.ts'

/**
 * Signs a browser in: new cookies in place of any before, and the session that was in them ends. Then to where
 * this person has to go: enrolling a factor, the offer of a passkey, or where they wanted to go.
 */
export async function startPageSession(
  deps: PagesDeps,
  visit: Visit,
  session: StartedSession,
  given: { next: string | undefined; canMakePasskeys: boolean; device: string; cookies?: readonly Cookie[] },
): Promise<Outcome> {
  const before = await visit.visitor()
  const tokens = await deps.sessions.tokensFor(session)
  deps.users.forget(tokens.user_id)
  if (before) {
    const { userId, sessionId } = before.principal
    await deps.sessions.end(originOf(visit.request, before.principal), userId, sessionId, 'logout')
  }
  const cookies: Cookie[] = [
    reply => deps.browserMode.keep(reply, tokens),
    reply => deps.browserMode.keepDevice(reply, given.device),
    ...(given.cookies ?? []),
  ]
  return { redirect: await placeAfter(deps, visit, tokens.session_id, given), cookies }
}

async function placeAfter(
  deps: PagesDeps,
  { request }: Visit,
  sessionId: string,
  { next, canMakePasskeys }: { next: string | undefined; canMakePasskeys: boolean },
): Promise<string> {
  const principal = await deps.authenticator.authenticateSession(sessionId)
  if (principal?.enrolmentDue) return address('/sign-in/enrol', { next })
  if (canMakePasskeys && principal && !deps.cookies.wasOffered(request)) {
    const passkeys = await deps.passkeys.list(principal.userId)
    if (passkeys.length === 0) return address('/sign-in/passkey', { next })
  }
  return landing(deps, next)
}

/** Where somebody goes when a page's work is done: where they came from, the application, or their account. */
export const landing = ({ publicUrl, appUrl }: PagesDeps, next?: string): string =>
  ownPath(next, publicUrl) ?? appUrl ?? '/account'
