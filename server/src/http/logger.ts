import { type DestinationStream, type Logger, pino } from 'pino'

/** Names whose values never reach the log, whatever object they are in. */
const secretNames = new Set([
  'authorization',
  'proxy_authorization',
  'cookie',
  'set_cookie',
  'password',
  'new_password',
  'current_password',
  'confirm_password',
  'password_hash',
  'refresh_token',
  'access_token',
  'id_token',
  'mfa_token',
  'token',
  'code',
  'otp',
  'secret',
  'client_secret',
  'encryption_key',
  'jwt_secret_key',
  'metrics_token',
  'private_key',
  'x_csrf_token',
])

const redacted = '[redacted]'

/** Levels of an object that the log takes; deeper parts are left out. */
const maxDepth = 6

/**
 * The process's logger: JSON lines on standard output, or on `destination`. Values under a secret's name are
 * replaced at any depth, and errors are reduced to what helps and cannot hold a row's values.
 */
export function createLogger(config: { logLevel: string }, destination?: DestinationStream): Logger {
  const options = {
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // The formatter below has described errors already; pino's own serialiser would add their fields again.
    serializers: { err: (described: unknown) => described },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Record<string, unknown>) => redactFields(fields, 0),
    },
  }
  const logger = destination === undefined ? pino(options) : pino(options, destination)
  // pino formats no bound fields; children inherit this method.
  const bind = logger.child
  logger.child = function child(this: Logger, bindings: Record<string, unknown>, childOptions?: object) {
    return bind.call(this, redactFields(bindings, 0), childOptions)
  } as typeof bind // its type has parameters for custom levels, of which there are none
  return logger
}

/** An error's `code` is a cause, not a secret: it is kept under `err`. */
function redactFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      isSecret(name) ? redacted : redactValue(value, depth + 1),
    ]),
  )
}

const isSecret = (name: string): boolean =>
  secretNames.has(name) ||
  secretNames.has(
    name
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replaceAll('-', '_')
      .toLowerCase(),
  )

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (value instanceof Error) return describeError(value)
  if (Buffer.isBuffer(value)) return `[${value.length} bytes]`
  if (depth > maxDepth) return '[deeper]'
  if (value instanceof Map || value instanceof Set) return redactValue([...value], depth)
  if (Array.isArray(value)) return value.slice(0, 100).map(item => redactValue(item, depth + 1))
  return redactFields(value, depth)
}

/**
 * Name, message, code and stack, and of a database error the names around it. `detail`, `where` and the
 * parameters of a query are left out: they quote the row.
 */
function describeError(error: Error, depth = 0): Record<string, unknown> {
  const known = ['code', 'constraint', 'table', 'column', 'schema', 'severity', 'routine'] as const
  const fields = new Map<string, unknown>(Object.entries(error))
  return {
    type: error.name,
    message: error.message,
    ...Object.fromEntries(known.filter(name => fields.has(name)).map(name => [name, fields.get(name)])),
    stack: error.stack,
    ...(error.cause instanceof Error && depth < 3 && { cause: describeError(error.cause, depth + 1) }),
  }
}
