import type { Eraser } from '../../db/eraser.ts'
import { deletePersonal } from './repo.ts'

const rowsAtOnce = 5000

/** Empties what stands beside the log about a person; the log itself holds ids and no more, and stays whole. */
export const eraseFromAudit: Eraser = async (trx, { userId }) => {
  while ((await deletePersonal(trx, userId, rowsAtOnce)) === rowsAtOnce);
}
