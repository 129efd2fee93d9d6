import { ProblemError } from '../../http/problems.ts'
import { codePoints, hasControls, tidyName } from '../../lib/text.ts'

/** Code points. */
const longest = 100

/** Zero-width joiner and non-joiner: part of many emoji, and of Persian and Indic words. */
const joiners = /[\u200c\u200d]/gu

/** The name that a user gives a passkey, as it is kept. @throws ProblemError validation_failed */
export function readPasskeyName(name: string): string {
  const tidy = tidyName(name)
  const visible = tidy.replace(joiners, '')
  if (visible !== '' && codePoints(tidy) <= longest && !hasControls(visible)) return tidy
  throw new ProblemError('validation_failed', {
    errors: [
      {
        path: '/name',
        code: 'name',
        message: `takes 1 to ${longest} characters, none of them control characters`,
      },
    ],
  })
}
