import type { Source } from './load.ts'

/** One thing that is wrong with the configuration. It never shows a secret. */
export type ConfigProblem = {
  /** The variable, as the reference names it. */
  name: string
  /** What is wrong; empty where the value just is not what the variable takes. */
  message: string
  takes?: string
  /** What it has now, with secrets hidden. */
  got?: string
  source?: Source
  /** The name it was given under. */
  typedAs?: string
}

/** The configuration can't be used. Its message lists every reason, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    super(
      [`The configuration has ${count}:`, ...problems.map(problem => `  ${describe(problem)}`)].join('\n'),
    )
    this.problems = problems
  }
}

function describe({ name, message, takes, got, source, typedAs }: ConfigProblem): string {
  const alias = typedAs && typedAs !== name ? ` (given as ${typedAs})` : ''
  const origin = got && `got ${got}${source === '.env' ? ' from .env' : ''}`
  const parts = [origin, message, takes && `takes ${takes}`].filter(Boolean)
  return `${name}${alias}: ${parts.join('; ').replaceAll('`', '')}`
}
