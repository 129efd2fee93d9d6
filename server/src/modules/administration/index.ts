import type { App } from '../../http/types.ts'
import type { AdministrationDeps } from './deps.ts'
import { userStateRoutes } from './state-routes.ts'
import { userAdministrationRoutes } from './user-routes.ts'

export type { AdministrationDeps, Unlocker } from './deps.ts'
export { administrationJobs } from './jobs.ts'

/** Administration of users. It stands on sessions, verification and auth, so it comes after them. */
export function administrationRoutes(app: App, deps: AdministrationDeps): void {
  userAdministrationRoutes(app, deps)
  userStateRoutes(app, deps)
}
