import { removeDemoUsers } from '../demo/fill.ts'
import { exit, type Run } from './command.ts'
import { withServices } from './services.ts'

/** `roster demo remove` */
export const removeDemo: Run = async (_input, io) => {
  const removed = await withServices(io, removeDemoUsers)
  io.out(removed === 1 ? 'Removed 1 demo user.' : `Removed ${removed} demo users.`)
  return exit.ok
}
