import { latestTime } from '../lib/clock.ts'
import { ProblemError } from './problems.ts'

/**
 * The moment that a text names, of those which the format `date-time` lets through: years that no id and no reply
 * can hold are refused, and so are leap seconds and offsets without minutes.
 * @param path the field, as the error names it
 * @throws ProblemError validation_failed
 */
export function readTime(text: string, path: string): Date {
  const at = new Date(text)
  // What is finer than a millisecond counts as the next: both “before” and “from” then mean what they say.
  if (/\.\d{3}\d*[1-9]/.test(text)) at.setTime(at.getTime() + 1)
  if (at.getTime() >= 0 && at <= latestTime) return at
  const message = 'Must be a date and time from 1970 to 9999, such as 2026-01-31T10:00:00.000Z.'
  throw new ProblemError('validation_failed', { errors: [{ path, code: 'format', message }] })
}
