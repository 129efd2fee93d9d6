import { Readable } from 'node:stream'
import type { Io } from '../cli/command.ts'
import { commands } from '../cli/commands.ts'
import { runCommandLine } from '../cli/run.ts'

export type Ran = { code: number; out: string; err: string }

/** Runs a command line inside the test's own process. */
export async function roster(
  argv: readonly string[],
  options: Pick<Partial<Io>, 'env' | 'cwd'> & { input?: string | Io['stdin'] } = {},
): Promise<Ran> {
  const { input = '', env = {}, cwd } = options
  const out: string[] = []
  const err: string[] = []
  const code = await runCommandLine(
    argv,
    {
      out: line => void out.push(line, '\n'),
      err: line => void err.push(line, '\n'),
      prompt: text => void err.push(text),
      stdin: typeof input === 'string' ? Readable.from(input === '' ? [] : [Buffer.from(input)]) : input,
      env,
      ...(cwd !== undefined && { cwd }),
    },
    commands,
  )
  return { code, out: out.join(''), err: err.join('') }
}
