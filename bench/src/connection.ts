import net from 'node:net'

/** What came back: status, and the body's text where it was asked for. */
export type Reply = { status: number; body: string }

/**
 * One kept-alive HTTP/1.1 connection that sends prepared bytes and reads just enough of each reply. A full
 * client costs more CPU than the routes measured here, and would be what is measured.
 */
export class Connection {
  readonly #socket: net.Socket
  #received: Buffer = Buffer.alloc(0)
  #length = 0
  #done: ((reply: Reply) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  /** Sends one request; the next only after its reply. */
  send(request: Buffer, done: (reply: Reply) => void, failed: (error: Error) => void): void {
    this.#done = done
    this.#failed = failed
    this.#socket.write(request)
  }

  exchange(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => this.send(request, resolve, reject))
  }

  close(): void {
    this.#failed = undefined
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (this.#length === 0) this.#length = replyLength(this.#received)
    if (this.#length === 0 || this.#received.length < this.#length) return
    const reply = new RawReply(this.#received)
    const done = this.#done
    this.#received = Buffer.alloc(0)
    this.#length = 0
    this.#done = this.#failed = undefined
    done?.(reply)
  }

  #fail(error: Error): void {
    const failed = this.#failed
    this.#done = this.#failed = undefined
    failed?.(error)
  }
}

/** Reads the body only when somebody looks. */
class RawReply implements Reply {
  readonly status: number
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.status = Number(bytes.toString('latin1', 9, 12))
  }

  get body(): string {
    return this.#bytes.toString('utf8', this.#bytes.indexOf(headEnd) + headEnd.length)
  }
}

const headEnd = Buffer.from('\r\n\r\n')

/** Bytes of the whole reply; 0 while its head is not complete. */
function replyLength(received: Buffer): number {
  const end = received.indexOf(headEnd)
  if (end === -1) return 0
  const length = /\r\ncontent-length: (\d+)/i.exec(received.toString('latin1', 0, end))?.[1]
  if (length === undefined) throw new Error('a reply without Content-Length')
  return end + headEnd.length + Number(length)
}

/** A request as bytes, made once and sent many times. */
export function prepare(
  method: string,
  path: string,
  options: { token?: string; body?: object; headers?: Record<string, string> } = {},
): Buffer {
  const body = options.body === undefined ? '' : JSON.stringify(options.body)
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(options.token === undefined ? [] : [`Authorization: Bearer ${options.token}`]),
    ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}
