import type { Eraser } from '../db/eraser.ts'
import { deleteMessagesOf } from './repo.ts'

/** Deletes every message to a person, sent or not. */
export const eraseMessages: Eraser = (trx, { userId, email, phoneNumber }) =>
  deleteMessagesOf(trx, { userId, recipients: [email, ...(phoneNumber === null ? [] : [phoneNumber])] })
