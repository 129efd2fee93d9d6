/**
 * Whether an error says that the database, not the request or the code, is at fault: connection lost or
 * refused, waiting or running too long, starting, stopping, read-only or out of resources.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (sqlStates.test(code) || networkCodes.has(code) || driverMessages.test(error.message)) return true
  if (socketCodes.has(code) && 'syscall' in error && error.syscall === 'connect') return true
  return error.cause !== undefined && error.cause !== error && isDatabaseUnavailable(error.cause)
}

/**
 * SQLSTATE (PostgreSQL's appendix A): class 08 connection, 53 resources, 58 system; 57P01–05 shutdown, crash,
 * starting, dropped; 57014 cancelled by statement_timeout; 55P03 lock_timeout; 25006 read-only; 28 and 3D not
 * let in; 40001 and 40P01 lost a race that a repetition wins; 0A000 a prepared statement that a migration
 * made stale, which is prepared anew.
 */
const sqlStates = /^(0A000|08...|53...|58...|57P0[1-5]|57014|55P03|25006|28...|3D000|40001|40P01)$/

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
])

/** Of a Unix socket: its file is gone, or not for this user. Of other files they mean something else. */
const socketCodes = new Set(['ENOENT', 'EACCES'])

/** What pg and pg-pool throw without a code. */
const driverMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered a connection error|Cannot use a pool after calling end|Connection ended unexpectedly)/
