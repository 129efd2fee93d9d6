import { RE2JS } from 're2js'

export type Pattern = { test(text: string): boolean }

/** A limit on the automaton, so that a long text costs milliseconds: about what 500 characters come to. */
const maxProgramSize = 3000

/**
 * Compiles a pattern in RE2 syntax: no look-around, no back-references, and time linear in the text whatever it
 * says. RegExp takes 2ⁿ steps for patterns such as `^(a+)+$`, and whoever may define a setting could stop the
 * service with one.
 * @throws Error with a message for people
 */
export function compilePattern(source: string): Pattern {
  const compiled = RE2JS.compile(source)
  if (compiled.programSize() > maxProgramSize) throw new Error('the pattern is too large')
  return compiled
}
