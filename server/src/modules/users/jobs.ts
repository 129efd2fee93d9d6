import type { Store } from '../../db/store.ts'
import type { Job } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { deleteEndedHolds } from './repo.ts'

export function userJobs({ store, clock }: { store: Store; clock: Clock }): Job[] {
  return [
    {
      name: 'users.release_names',
      schedule: '29 * * * *',
      run: () => deleteEndedHolds(store.db, clock.now()),
    },
  ]
}
