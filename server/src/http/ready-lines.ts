import http from 'node:http'
import type { FastifyReply } from 'fastify'
import type { HeaderTable } from './security-headers.ts'

/*
 * Node checks, copies and joins each header of each reply: 0.4 µs a header, and a reply has seven of ours that
 * are known to be clean, four of them always the same. So on real connections these go out as ready lines.
 * `_storeHeader`, which joins the head of every reply, is not documented; it is as old as Node, Node's version
 * is pinned, and a test reads each header from a socket.
 */

type StoreHeader = (this: http.ServerResponse, firstLine: string, headers: Headers) => void
type Headers = Record<string, unknown> | readonly unknown[] | null | undefined

// Not in Node's types, as said above.
const { _storeHeader: storeHeader } = http.ServerResponse.prototype as unknown as {
  _storeHeader: StoreHeader
}

/** Lines of one reply alone, each ended by CRLF. */
class ReadyLinesResponse extends http.ServerResponse {
  requestLines = ''
  limitLines = ''
}

/**
 * The class of a server's responses: every reply has the headers of the table, unless its route set one of
 * that name.
 */
export function createResponseClass(table: HeaderTable): typeof http.ServerResponse {
  const names = table.map(([name]) => name)
  const allLines = table.map(toLine).join('')

  function linesBeside(headers: Headers): string {
    if (headers === null || headers === undefined || !names.some(name => name in headers)) return allLines
    return table
      .filter(([name]) => !(name in headers))
      .map(toLine)
      .join('')
  }

  class Response extends ReadyLinesResponse {
    _storeHeader(firstLine: string, headers: Headers): void {
      storeHeader.call(this, firstLine + linesBeside(headers) + this.requestLines + this.limitLines, headers)
    }
  }
  return Response as unknown as typeof http.ServerResponse // Node types it as generic over its request
}

/*
 * Injected requests, which tests make without a connection, get ordinary headers. The values below must be known
 * to hold nothing but visible ASCII: nothing checks them again.
 */

/** Puts on a reply what every reply has. */
export function setCommonHeaders(reply: FastifyReply, table: HeaderTable, requestId: string): void {
  const { raw } = reply
  if (raw instanceof ReadyLinesResponse) {
    raw.requestLines = `x-request-id: ${requestId}\r\n`
    return
  }
  for (const [name, value] of table) reply.header(name, value)
  reply.header('x-request-id', requestId)
}

export type LimitState = { limit: number; remaining: number; reset: number }

/** Puts on a reply how much of a limit is left; `reset` in seconds. */
export function setLimitHeaders(reply: FastifyReply, { limit, remaining, reset }: LimitState): void {
  const { raw } = reply
  if (raw instanceof ReadyLinesResponse) {
    raw.limitLines = `ratelimit-limit: ${limit}\r\nratelimit-remaining: ${remaining}\r\nratelimit-reset: ${reset}\r\n`
    return
  }
  reply.header('ratelimit-limit', String(limit))
  reply.header('ratelimit-remaining', String(remaining))
  reply.header('ratelimit-reset', String(reset))
}

const toLine = ([name, value]: HeaderTable[number]): string => `${name}: ${value}\r\n`
