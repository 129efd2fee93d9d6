import type { Job } from '../../jobs/worker.ts'
import type { Lockout } from './service.ts'

export function lockoutJobs({ lockout }: { lockout: Lockout }): Job[] {
  return [{ name: 'lockout.forget_old_counts', schedule: '37 * * * *', run: () => lockout.cleanUp() }]
}
