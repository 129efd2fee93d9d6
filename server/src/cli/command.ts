import type { Readable } from 'node:stream'

/** What a command sees of the world outside. */
export type Io = {
  /** Prints a line of the result. */
  out(line: string): void
  /** Prints a line for people: prompts, progress, warnings, errors. */
  err(line: string): void
  /** Prints without ending the line. */
  prompt(text: string): void
  stdin: Readable & { isTTY?: boolean }
  /** Variables to use in place of the process's own. */
  env?: Readonly<Record<string, string | undefined>>
  /** In place of the working directory. */
  cwd?: string
}

export type Option = {
  name: string
  short?: string
  about: string
  /** What its value stands for, in capitals; without one the option is a switch. */
  value?: string
  required?: boolean
}

/** The options as given. */
export type Input = {
  has(name: string): boolean
  /** The value of an option that takes one. */
  get(name: string): string | undefined
}

/** The body of a command. @returns the exit code */
export type Run = (input: Input, io: Io) => Promise<number>

export type Command = {
  /** One word or two, as typed. */
  name: string
  summary: string
  /** Further lines of its help. */
  details?: string
  options: readonly Option[]
  /** Loads what the command needs, and nothing that others need. */
  load: () => Promise<Run>
}

/** Exit codes as shells have them. */
export const exit = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** The command was typed wrong: its message is shown with a pointer to the help, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The person pressed Ctrl-C at a question. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}
