import type { Store } from '../../db/store.ts'
import type { Job } from '../../jobs/worker.ts'
import { inBatches } from '../../lib/batches.ts'
import type { Clock } from '../../lib/clock.ts'
import { deleteEndedHolds } from './repo.ts'
import { refreshOutdated } from './search/search.ts'
import { endExpired } from './subscription/change.ts'

export function userJobs({ store, clock }: { store: Store; clock: Clock }): Job[] {
  return [
    {
      name: 'users.release_names',
      schedule: '29 * * * *',
      async run() {
        const at = clock.now()
        await inBatches(limit => deleteEndedHolds(store.db, at, limit))
      },
    },
    {
      name: 'users.end_subscriptions',
      schedule: '* * * * *',
      run: () => endExpired(store, clock.now()),
    },
    {
      name: 'users.refresh_search',
      schedule: '*/10 * * * *',
      run: () => refreshOutdated(store),
    },
  ]
}
