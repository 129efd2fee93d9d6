import type { preValidationHookHandler } from 'fastify'
import { refuseInput } from './query-string.ts'

/**
 * Lets a text field of the body come under another name as well, which callers know from elsewhere. The documentation names
 * one. A body with both is left as it is, so that its schema refuses the one that it does not know.
 */
export const alsoNamed =
  (other: string, field: string): preValidationHookHandler =>
  (request, _reply, done) => {
    const { body } = request
    if (typeof body === 'object' && body !== null && other in body && !(field in body)) {
      const { [other]: value, ...rest } = body as Record<string, unknown> // an object, says the line above
      // Said of the name that the caller used.
      if (typeof value !== 'string') {
        done(refuseInput({ path: `/${other}`, code: 'type', message: `${other} must be a string.` }))
        return
      }
      request.body = { ...rest, [field]: value }
    }
    done()
  }
