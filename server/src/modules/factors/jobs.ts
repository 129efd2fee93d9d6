import type { Job } from '../../jobs/worker.ts'
import type { Passkeys } from './passkeys.ts'

export function factorJobs({ passkeys }: { passkeys: Passkeys }): Job[] {
  return [
    {
      name: 'factors.delete_expired_challenges',
      schedule: '*/20 * * * *',
      run: () => passkeys.cleanUp(),
    },
  ]
}
