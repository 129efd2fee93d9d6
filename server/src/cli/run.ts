import { type Command, exit, Interrupted, type Io, UsageError } from './command.ts'
import { commandHelp, generalHelp } from './help.ts'
import { parseCommandLine } from './parse.ts'

/**
 * Runs one command line.
 * @param argv without the names of Node and of the script
 * @returns the exit code: 0 fine, 1 failed, 2 typed wrong, 130 interrupted
 */
export async function runCommandLine(
  argv: readonly string[],
  io: Io,
  commands: readonly Command[],
): Promise<number> {
  try {
    const request = parseCommandLine(argv, commands)
    if (request.kind === 'version') return print(io, (await import('../version.ts')).version)
    if (request.kind === 'help') {
      const help = request.command ? commandHelp(request.command) : generalHelp(commands)
      return argv.length === 0 ? complain(io, help) : print(io, help)
    }
    const run = await request.command.load()
    return await run(request.input, io)
  } catch (error) {
    if (error instanceof UsageError) return complain(io, `roster: ${error.message}\nTry roster --help.`)
    if (error instanceof Interrupted) return exit.interrupted
    const { explain } = await import('./explain.ts')
    io.err(`roster: ${explain(error, io.env)}`)
    return exit.failed
  }
}

function print(io: Io, text: string): number {
  io.out(text)
  return exit.ok
}

function complain(io: Io, text: string): number {
  io.err(text)
  return exit.usage
}
