import { InvalidToken } from '../tokens.ts'

/** Whoever a token belongs to: what `createTokenVerifier` and `createIntrospector` answer. */
export type Who = { sub: string; roles?: string[] }
export type Verify<W extends Who> = (token: string) => Promise<W>

/** Any one of these roles is enough. */
export type Rules = { roles?: readonly string[] | undefined }

/** Why a request is refused: a reply in the terms of RFC 6750 and RFC 9457. */
export type Refusal = { status: 401 | 403; headers: Record<string, string>; body: string }

/**
 * Who sent a request with this `Authorization` header, or why it is refused.
 * @throws what `verify` throws where it can't tell: answer 503
 */
export async function authenticate<W extends Who>(
  authorization: string | null | undefined,
  verify: Verify<W>,
  { roles }: Rules = {},
): Promise<{ who: W } | { refusal: Refusal }> {
  const token = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) return { refusal: refuse(401, 'Bearer', 'Sign in first') }
  const who = await verify(token).catch((error: unknown) => {
    if (error instanceof InvalidToken) return undefined
    throw error
  })
  if (!who) return { refusal: refuse(401, 'Bearer error="invalid_token"', 'Invalid token') }
  if (roles && !roles.some(role => who.roles?.includes(role))) {
    return { refusal: refuse(403, 'Bearer error="insufficient_scope"', 'Forbidden') }
  }
  return { who }
}

const refuse = (status: 401 | 403, challenge: string, title: string): Refusal => ({
  status,
  headers: { 'www-authenticate': challenge, 'content-type': 'application/problem+json' },
  body: JSON.stringify({ type: 'about:blank', title, status }),
})
