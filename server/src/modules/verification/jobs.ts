import type { Job } from '../../jobs/worker.ts'
import type { Verification } from './service.ts'

export function verificationJobs(deps: { verification: Verification }): Job[] {
  return [
    {
      name: 'verification.delete_expired',
      schedule: '23 * * * *',
      async run() {
        await deps.verification.cleanUp()
      },
    },
  ]
}
