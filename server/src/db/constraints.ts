import type { ProblemCode } from '../http/problems.ts'
import { ProblemError } from '../http/problems.ts'

/** Which error code a broken constraint means, by the constraint's name. */
export type ConstraintProblems = Readonly<Record<string, ProblemCode>>

/**
 * Runs a write and turns a broken constraint that `problems` names into its error. The constraint decides, not
 * a question asked before: between question and write another request fits.
 */
export async function orConflict<T>(problems: ConstraintProblems, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    const code = problems[brokenConstraint(error) ?? '']
    throw code ? new ProblemError(code, { cause: error }) : error
  }
}

/** The name of the constraint that PostgreSQL's error is about, if it is about one. */
const brokenConstraint = (error: unknown): string | undefined =>
  error instanceof Error && 'constraint' in error && typeof error.constraint === 'string'
    ? error.constraint
    : undefined
