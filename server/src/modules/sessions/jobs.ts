import type { Job } from '../../jobs/worker.ts'
import type { Sessions } from './service.ts'
import type { KeyRing } from './signing-keys.ts'

export function sessionJobs(deps: { sessions: Sessions; keys: KeyRing }): Job[] {
  return [
    {
      name: 'sessions.delete_ended',
      schedule: '17 * * * *',
      run: () => deps.sessions.cleanUp(),
    },
    {
      name: 'sessions.rotate_signing_keys',
      schedule: '41 3 * * *',
      async run() {
        await deps.keys.rotateIfDue()
      },
    },
  ]
}
