import type { Job } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { type EraseDeps, eraseDueUsers } from '../users/index.ts'

export const administrationJobs = (deps: EraseDeps & { clock: Clock; eraseAfterDays: number }): Job[] => [
  {
    name: 'administration.erase_due_users',
    schedule: '7 * * * *',
    async run() {
      await eraseDueUsers(deps, deps.clock.now(), deps.eraseAfterDays)
    },
  },
]
