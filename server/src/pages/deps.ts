import type { ReportProblem } from '../http/problem-report.ts'
import type { AuthDeps } from '../modules/auth/index.ts'
import type { Authenticator, BrowserMode } from '../modules/sessions/index.ts'
import type { UserReader } from '../modules/users/index.ts'
import type { Catalogue } from '../words/catalogue.ts'
import type { PageCookies } from './cookies.ts'
import type { Look } from './look.ts'
import type { Outcome } from './page.ts'
import type { createRepeats } from './repeats.ts'
import type { createVisitorReader } from './visitor.ts'

export type PagesDeps = AuthDeps & {
  authenticator: Authenticator
  users: UserReader
  browserMode: BrowserMode
  catalogue: Catalogue
  cookies: PageCookies
  look: Look
  publicUrl: string
  /** Where the application is that people come from and go back to. */
  appUrl: string | undefined
  smsAvailable: boolean
  /** Counts a problem by its code, and logs what is the service's own fault. */
  reportProblem: ReportProblem
  repeats: ReturnType<typeof createRepeats<Outcome>>
  readVisitor: ReturnType<typeof createVisitorReader>
}
