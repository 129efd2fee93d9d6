import { parseArgs } from 'node:util'
import { nearest } from '../lib/nearest.ts'
import { type Command, type Input, type Option, UsageError } from './command.ts'

export const helpOption: Option = { name: 'help', short: 'h', about: 'Show this help' }

/** What was asked for: a command to run, or help. */
export type Request =
  | { kind: 'run'; command: Command; input: Input }
  | { kind: 'help'; command: Command | undefined }
  | { kind: 'version' }

/**
 * Reads the command line.
 * @throws UsageError, with what was probably meant
 */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Request {
  const [first] = argv
  if (first === undefined || first === '--help' || first === '-h') return { kind: 'help', command: undefined }
  if (first === '--version' || first === '-v' || first === 'version') return { kind: 'version' }
  if (first === 'help') return helpFor(argv.slice(1), commands)
  if (first.startsWith('-')) throw new UsageError(`${first} needs a command before it`)
  const command = findCommand(argv, commands)
  const rest = argv.slice(command.name.split(' ').length)
  const input = parseOptions(rest, command)
  return input.has('help') ? { kind: 'help', command } : { kind: 'run', command, input }
}

function helpFor(words: readonly string[], commands: readonly Command[]): Request {
  const asked = words.filter(word => !word.startsWith('-'))
  return { kind: 'help', command: asked.length === 0 ? undefined : findCommand(asked, commands) }
}

function findCommand(argv: readonly string[], commands: readonly Command[]): Command {
  const [first = '', second] = argv
  const two = `${first} ${second}`
  const found = commands.find(({ name }) => name === first || name === two)
  if (found) return found
  const siblings = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name)
  if (siblings.length > 0 && (second === undefined || second.startsWith('-'))) {
    throw new UsageError(`${first} needs a word more: ${siblings.join(', ')}`)
  }
  const names = commands.map(({ name }) => name)
  const typed = second === undefined || second.startsWith('-') ? first : two
  const meant = nearest(typed, names) ?? nearest(first, [...names, 'help']) ?? only(siblings)
  throw new UsageError(`there is no command "${typed}"${suggestion(meant)}`)
}

const only = (names: readonly string[]): string | undefined => (names.length === 1 ? names[0] : undefined)

function parseOptions(args: readonly string[], command: Command): Input {
  const options = [...command.options, helpOption]
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(options.map(({ name, value, short }) => [name, typeOf(value, short)])),
    strict: false,
    tokens: true,
  })
  const given = new Map<string, string | undefined>()
  for (const token of tokens) {
    if (token.kind === 'positional') throw new UsageError(`"${token.value}" is one word too many`)
    if (token.kind !== 'option') continue
    const option = options.find(({ name }) => name === token.name)
    if (!option) throw unknownOption(token.rawName, options, command)
    checkValue(option, token)
    given.set(token.name, token.value)
  }
  const missing = command.options.find(({ name, required }) => required && !given.has(name))
  if (missing && !given.has('help')) throw new UsageError(`--${missing.name} ${missing.value} is missing`)
  return { has: name => given.has(name), get: name => given.get(name) }
}

const typeOf = (value: string | undefined, short: string | undefined) => ({
  type: value === undefined ? ('boolean' as const) : ('string' as const),
  ...(short !== undefined && { short }),
})

function checkValue(
  option: Option,
  token: { value?: string | undefined; inlineValue?: boolean | undefined },
): void {
  if (option.value === undefined) {
    if (token.value !== undefined) throw new UsageError(`--${option.name} takes no value`)
  } else if (!token.value || (token.value.startsWith('-') && !token.inlineValue)) {
    throw new UsageError(`--${option.name} takes a value: --${option.name}=${option.value}`)
  }
}

function unknownOption(typed: string, options: readonly Option[], command: Command): UsageError {
  const meant = nearest(
    typed,
    options.map(({ name }) => `--${name}`),
  )
  return new UsageError(`${command.name} has no option ${typed}${suggestion(meant)}`)
}

const suggestion = (meant: string | undefined): string => (meant ? `. Did you mean ${meant}?` : '')
