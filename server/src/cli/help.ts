import type { Command, Option } from './command.ts'
import { helpOption } from './parse.ts'

/** The help of `roster` itself. */
export const generalHelp = (
  commands: readonly Command[],
): string => `Roster, a self-hosted user-management service

Usage: roster <command> [options]

Commands:
${columns(commands.map(({ name, summary }) => [name, summary]))}

Options:
${columns([
  ['-h, --help', 'Show this help, or that of a command'],
  ['-v, --version', 'Show the version'],
])}

Settings are environment variables; see docs/configuration.md, and roster config for those in effect.`

/** The help of one command. */
export function commandHelp({ name, summary, details, options }: Command): string {
  const all = [...options, helpOption]
  const usage = ['Usage: roster', name, ...options.map(inUsage)].join(' ')
  const about = [`${summary}.`, details].filter(Boolean).join(' ')
  return `${usage}\n\n${about}\n\nOptions:\n${columns(all.map(option => [inList(option), option.about]))}`
}

const inUsage = (option: Option): string => (option.required ? spelled(option) : `[${spelled(option)}]`)

const inList = (option: Option): string => `${option.short ? `-${option.short}, ` : ''}${spelled(option)}`

const spelled = ({ name, value }: Option): string => (value ? `--${name} ${value}` : `--${name}`)

/** Rows with the first column padded to its longest cell. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
