import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Interrupted, type Io, UsageError } from './command.ts'

/** Bytes of standard input that a password is looked for in. */
const maxInput = 4096

/**
 * Reads a password from standard input: its first line.
 * @throws UsageError where there is none
 */
export async function readPassword(io: Io): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of io.stdin) {
    chunks.push(Buffer.from(chunk))
    size += chunks.at(-1)?.length ?? 0
    if (size > maxInput || chunks.at(-1)?.includes('\n')) break
  }
  const [line = ''] = Buffer.concat(chunks).toString('utf8').split(/\r?\n/, 1)
  if (line === '') throw new UsageError('there is no password on standard input')
  if (size > maxInput && Buffer.byteLength(line) > maxInput) throw new UsageError('the password is too long')
  return line
}

/**
 * Asks for a new password twice, without showing it.
 * @throws UsageError without a terminal, Interrupted upon Ctrl-C
 */
export async function askNewPassword(io: Io): Promise<string> {
  if (!io.stdin.isTTY)
    throw new UsageError('there is no terminal to ask for the password: use --password-stdin')
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  // Kept open from the first question to the last: only while it is does the terminal show nothing typed.
  const reader = createInterface({ input: io.stdin, output: unseen, terminal: true, historySize: 0 })
  const lines = reader[Symbol.asyncIterator]()
  try {
    for (;;) {
      const first = await ask(io, lines, 'Password: ')
      if (first === '') continue
      if ((await ask(io, lines, 'Once more: ')) === first) return first
      io.err('The two differ. Try again.')
    }
  } finally {
    reader.close()
  }
}

/** Ctrl-C and Ctrl-D end the lines. */
async function ask(io: Io, lines: AsyncIterator<string>, question: string): Promise<string> {
  io.prompt(question)
  const { done, value } = await lines.next()
  io.prompt('\n')
  if (done) throw new Interrupted()
  return value
}
