import type { Roster } from '../core/roster.ts'
import type { components } from '../generated/api.ts'
import { InvalidToken } from '../tokens.ts'

/** What the service says of a token that counts (RFC 7662). */
export type Introspected = components['schemas']['Introspection'] & { sub: string }

/**
 * Asks the service what a token is worth, and believes the answer for a while. Unlike `createTokenVerifier` this
 * knows of sign-outs and changed roles, after `maxAge` at the latest.
 * @param options.roster signed in to an account whose role has the permission `tokens:introspect`
 * @param options.maxAge seconds for which an answer is believed
 * @param options.size how many answers are remembered
 * @returns a function that answers what is known of a token. It throws `InvalidToken` for one that does not count
 */
export function createIntrospector(options: {
  roster: Pick<Roster, 'post'>
  maxAge?: number
  size?: number
}): (token: string) => Promise<Introspected> {
  const { roster, maxAge = 5, size = 10_000 } = options
  const answers = new Map<string, { answer: Promise<Introspected | undefined>; until: number }>()

  async function ask(token: string): Promise<Introspected | undefined> {
    const body = { token }
    const said = await roster.post('/api/v1/auth/introspect', { body })
    return said.active && said.sub !== undefined ? { ...said, sub: said.sub } : undefined
  }

  function remember(token: string): Promise<Introspected | undefined> {
    const answer = ask(token)
    const entry = { answer, until: Date.now() + maxAge * 1000 }
    answers.delete(token)
    answers.set(token, entry)
    for (const oldest of answers.keys()) {
      if (answers.size <= size) break
      answers.delete(oldest)
    }
    answer.then(
      // Never beyond the token's own end.
      said => {
        if (said?.exp !== undefined) entry.until = Math.min(entry.until, said.exp * 1000)
      },
      () => {
        if (answers.get(token) === entry) answers.delete(token)
      },
    )
    return answer
  }

  return async token => {
    const known = answers.get(token)
    const isFresh =
      known !== undefined && known.until > Date.now() && known.until - Date.now() <= maxAge * 1000
    const said = await (isFresh ? known.answer : remember(token))
    if (!said) throw new InvalidToken('not active')
    return said
  }
}
