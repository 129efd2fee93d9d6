/** What codes of Node, PostgreSQL, RabbitMQ and SMTP mean to whoever runs the service. */
const meanings: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'the host is not known',
  EAI_AGAIN: 'the name of the host could not be looked up',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ETIMEDOUT: 'no answer in time',
  CONNECTION_TIMEOUT: 'no answer in time',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not use it',
  ACCESS_REFUSED: 'the user, the password or a permission is refused',
  NOT_ALLOWED: 'the virtual host does not exist, or is not for this user',
  EAUTH: 'the user or the password is refused',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by nobody who is trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by nobody who is trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by nobody who is trusted',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
}

/**
 * Why something did not answer, in words, and with its code for those who look it up:
 * `nothing listens there (ECONNREFUSED 127.0.0.1:5672)`.
 */
export function reasonInWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Node reports a host that refused on each of its addresses so.
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reasonInWords))].join('; ')
  const { code, address, port } = error as Error & { code?: unknown; address?: unknown; port?: unknown }
  const meaning = typeof code === 'string' ? meanings[code] : undefined
  if (meaning === undefined) return error.message || String(code ?? error.name)
  const place = typeof address === 'string' ? ` ${address}${port === undefined ? '' : `:${port}`}` : ''
  return `${meaning} (${code}${place})`
}
