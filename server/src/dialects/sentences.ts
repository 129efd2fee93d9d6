import type { ProblemError } from '../http/problems.ts'

/** A problem in one text, for dialects that have no list of fields: what is wrong with each field after its name. */
export function sentencesOf({ detail, errors = [], title }: ProblemError): string {
  if (detail !== undefined) return detail
  const sentences = errors.map(({ path, message }) => {
    const field = path.slice(1)
    return field === '' || message.startsWith(field) ? message : `${field} ${message}`
  })
  return sentences.join('; ') || title
}
