import type { Socket } from 'node:net'
import type { Metrics } from './metrics.ts'
import { type ProblemCode, ProblemError, problemHeaders, toProblemBody } from './problems.ts'
import type { HeaderTable } from './security-headers.ts'

/** What Node reports of a connection that never became a request. */
type ConnectionError = Error & { code?: string }

/**
 * Answers a client whose bytes never became a request: no HTTP, headers too large, too slow. The connection
 * is closed after it, since nobody knows where the next request would begin.
 */
export function createClientErrorHandler(
  headers: HeaderTable,
  metrics: Metrics,
): (error: ConnectionError, socket: Socket) => void {
  return (error, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
      socket.destroy()
      return
    }
    const problem = new ProblemError(codes[error.code ?? ''] ?? 'bad_request')
    metrics.problem(problem.code)
    socket.end(rawReply(problem, headers))
  }
}

const codes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'payload_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** A second status line in the middle of a reply would be taken for its body. */
function isAnswering(socket: Socket & { _httpMessage?: { headersSent?: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent ?? false
}

function rawReply(problem: ProblemError, headers: HeaderTable): string {
  const body = JSON.stringify(toProblemBody(problem))
  const lines = [
    ...headers,
    ...Object.entries(problemHeaders(problem)).filter(([name]) => name !== 'cache-control'),
    ['content-length', String(Buffer.byteLength(body))],
    ['connection', 'close'],
  ].map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`
}
