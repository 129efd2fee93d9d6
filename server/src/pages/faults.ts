import type { ProblemCode, ProblemError } from '../http/problems.ts'
import { duration, type Language, type WordKey } from '../words/catalogue.ts'
import english from '../words/en.json' with { type: 'json' }
import type { Faults } from './parts.ts'

/** Which field a problem as a whole is about. */
const fieldOf: Partial<Record<ProblemCode, string>> = {
  email_taken: 'email',
  username_taken: 'username',
  phone_taken: 'phone_number',
  sms_unavailable: 'phone_number',
  invalid_setup_code: 'code',
}

/** What a problem says to somebody at a form, by field. Whatever the catalogue has no words for stands in English. */
export function faultsOf(problem: ProblemError, language: Language): Faults {
  const faults = new Map<string, string[]>()
  const add = (name: string, text: string) => faults.set(name, [...(faults.get(name) ?? []), text])
  if (problem.errors === undefined || problem.errors.length === 0) {
    const text = wordsFor(problem.code, problem.detail ?? problem.title, language, problem.retryAfter)
    add(fieldOf[problem.code] ?? '', text)
  }
  for (const { path, code, message } of problem.errors ?? []) {
    const name = path.slice(1).split('/', 1)[0] ?? ''
    const ownWords = code in english.errors ? code : name
    add(name, wordsFor(ownWords, message, language, problem.retryAfter))
  }
  return faults
}

function wordsFor(code: string, fallback: string, language: Language, seconds = 60): string {
  if (!(code in english.errors)) return `${fallback.slice(0, 1).toUpperCase()}${fallback.slice(1)}`
  const values = { count: Number(/\d+/.exec(fallback)?.[0] ?? 0), time: duration(seconds, language) }
  // It is a key of that section, as the line above found.
  return language.say(`errors.${code}` as WordKey, values)
}

/** Fills the faults of a form that lacks something. */
export const missing = (name: string, text: string): Faults => new Map([[name, [text]]])
