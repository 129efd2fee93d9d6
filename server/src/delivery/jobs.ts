import type { Tx } from '../db/store.ts'
import { enqueue, type Job } from '../jobs/worker.ts'
import type { Sender } from './sender.ts'

const sendMessageJob: Pick<Job<{ message_id: string }>, 'name'> = { name: 'delivery.send_message' }

/**
 * Queues an attempt, `delay` milliseconds from now. The payload is the message's id alone: nothing of its
 * content stands in the job queue.
 */
export const enqueueMessage = (trx: Tx, id: string, delay = 0): Promise<void> =>
  enqueue(trx, sendMessageJob, { message_id: id }, { delay, key: id })

export function deliveryJobs({ sender }: { sender: Sender }): Job[] {
  return [
    {
      ...sendMessageJob,
      run: payload => sender.send(messageIdOf(payload)),
    },
    {
      name: 'delivery.recover_lost',
      schedule: '* * * * *',
      async run() {
        await sender.recoverLost()
      },
    },
    {
      name: 'delivery.delete_old',
      schedule: '23 * * * *',
      run: () => sender.deleteOld(),
    },
  ]
}

function messageIdOf(payload: unknown): string {
  const id =
    typeof payload === 'object' && payload !== null && 'message_id' in payload
      ? payload.message_id
      : undefined
  if (typeof id !== 'string') throw new Error(`${sendMessageJob.name} needs a message_id`)
  return id
}
