import type { Job } from '../jobs/worker.ts'

export type SendMessage = { message_id: string }

/** Sends one message. The payload is its id alone: nothing of its content stands in the job queue. */
export const sendMessageJob: Pick<Job<SendMessage>, 'name'> = { name: 'delivery.send_message' }
