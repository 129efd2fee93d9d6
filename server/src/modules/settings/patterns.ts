import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import { type Check, finding, newEffort } from './findings.ts'
import { estimateProgramSize } from './pattern-size.ts'
import { lengthOf } from './types.ts'

type Pattern = {
  test(text: string): boolean
  /** What matching a text of so many characters may come to, in steps of at most 50 ns. */
  stepsFor(length: number): number
}

/** A limit on the automaton: about what 500 characters come to. */
const maxProgramSize = 3000
/**
 * A limit on what is read off the text before it is compiled: tens of milliseconds' worth. It is wide, since a choice
 * between letters counts each of them there and is one step of the automaton.
 */
const maxEstimate = 10 * maxProgramSize
const tooLarge = 'the pattern is too large'
/** What each character costs beside the automaton, in its steps. */
const stepsOfCharacter = 50

/** Each is compiled for several checks of one definition, and some take long. */
const compiled = new LRUCache<string, Pattern>({ max: 500 })

/**
 * Compiles a pattern in RE2 syntax: no look-around, no back-references, and time linear in the text whatever it
 * says. RegExp takes 2ⁿ steps for patterns such as `^(a+)+$`, and whoever may define a setting could stop the
 * service with one. Linear is the size of the automaton times the length of the text, so both are limited too.
 * @throws Error with a message for people
 */
export function compilePattern(source: string): Pattern {
  const known = compiled.get(source)
  if (known) return known
  if (estimateProgramSize(source) > maxEstimate) throw new Error(tooLarge)
  const automaton = RE2JS.compile(source)
  const size = automaton.programSize()
  if (size > maxProgramSize) throw new Error(tooLarge)
  const pattern: Pattern = {
    test: text => automaton.test(text),
    stepsFor: length => (size + stepsOfCharacter) * length,
  }
  compiled.set(source, pattern)
  return pattern
}

/** A check of texts by a pattern; other values pass. @throws Error with a message for people */
export function checkPattern(source: string): Check {
  const pattern = compilePattern(source)
  return (value, effort = newEffort()) => {
    if (typeof value !== 'string') return undefined
    effort.steps -= pattern.stepsFor(lengthOf(value))
    if (effort.steps < 0)
      return finding('too_long', 'pattern', 'Is too much text for patterns in one change.')
    return pattern.test(value)
      ? undefined
      : finding('format', 'pattern', `Must match the pattern ${source}`, source)
  }
}
