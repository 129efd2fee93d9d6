import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { onTestFinished } from 'vitest'

export type ReceivedMail = { from: string; to: string[]; raw: string }

/** A real SMTP server on 127.0.0.1, without TLS; closed when the test ends. */
export async function startSmtpServer(
  options: {
    /** What it says to a recipient, instead of taking them. */
    refuse?: (address: string) => { responseCode: number; message: string } | undefined
    /** A login that it demands. */
    login?: { user: string; password: string }
  } = {},
): Promise<{ url: string; received: ReceivedMail[] }> {
  const received: ReceivedMail[] = []
  const server = new SMTPServer({
    authOptional: options.login === undefined,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS', ...(options.login === undefined ? ['AUTH'] : [])],
    onAuth: ({ username, password }, _session, done) =>
      username === options.login?.user && password === options.login?.password
        ? done(null, { user: username })
        : done(new Error('Authentication failed')),
    onRcptTo: ({ address }, _session, done) => {
      const refusal = options.refuse?.(address)
      done(refusal ? Object.assign(new Error(refusal.message), refusal) : null)
    },
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = []
      stream.on('data', chunk => chunks.push(chunk))
      stream.on('end', () => {
        received.push({
          from: envelope.mailFrom ? envelope.mailFrom.address : '',
          to: envelope.rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString(),
        })
        done()
      })
    },
  })
  server.on('error', () => undefined)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
  return { url: `smtp://127.0.0.1:${portOf(server.server)}`, received }
}

/** A TCP server that does with connections what a test wants, for example nothing; closed when the test ends. */
export async function startTcpServer(onConnection: (socket: Socket) => void): Promise<{ port: number }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(() => resolve()))
  })
  return { port: portOf(server) }
}

export type ApiRequest = { method: string; path: string; headers: IncomingMessage['headers']; body: string }

/** An HTTP server that keeps what it is sent, and answers as a test wants; closed when the test ends. */
export async function startApiServer(
  answer: (request: ApiRequest, response: ServerResponse) => void,
): Promise<{ url: string; requests: ApiRequest[] }> {
  const requests: ApiRequest[] = []
  const server = createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', chunk => chunks.push(chunk))
    message.on('end', () => {
      const { method = '', url: path = '', headers } = message
      const request = { method, path, headers, body: Buffer.concat(chunks).toString() }
      requests.push(request)
      answer(request, response)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(() => resolve()))
  })
  return { url: `http://127.0.0.1:${portOf(server)}`, requests }
}

/** Sends a JSON reply. */
export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
