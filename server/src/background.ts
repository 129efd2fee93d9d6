import { deliveryJobs } from './delivery/index.ts'
import type { Job } from './jobs/worker.ts'
import { administrationJobs } from './modules/administration/index.ts'
import { authJobs } from './modules/auth/index.ts'
import { factorJobs } from './modules/factors/index.ts'
import { lockoutJobs } from './modules/lockout/index.ts'
import { sessionJobs } from './modules/sessions/index.ts'
import { settingsJobs } from './modules/settings/index.ts'
import { userJobs } from './modules/users/index.ts'
import { verificationJobs } from './modules/verification/index.ts'
import type { Services } from './services.ts'

/** Everything that runs in the background, by the clock or because a request left it for later. */
export const backgroundJobs = (services: Services): Job[] => [
  ...services.events.jobs,
  ...userJobs(services),
  ...settingsJobs({ ...services, definitions: services.settings.definitions }),
  ...verificationJobs(services),
  ...lockoutJobs(services),
  ...factorJobs(services),
  ...sessionJobs(services),
  ...authJobs(services),
  ...administrationJobs(services),
  ...deliveryJobs(services.delivery),
]
