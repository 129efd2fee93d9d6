import { createRoster, isRosterError, type ProblemCode, type User } from '@roster/client'
import { createReplica } from '@roster/client/replica'
import { createIntrospector, expressGuard, fastifyGuard, withUser } from '@roster/client/server'
import { type AccessTokenClaims, createTokenVerifier } from '@roster/client/tokens'

const roster = createRoster({ url: 'http://localhost:8000' })

export async function use(): Promise<User[]> {
  const signIn = await roster.signIn({ email: 'ada@example.com', password: 'SecurePass123' })
  if (signIn.status === 'second_factor') await signIn.verify({ method: 'totp', code: '123456' })
  const deleted = await roster.guarded(() => roster.delete('/api/v1/users/me'))
  if (deleted.status === 'step_up_required') await deleted.prove({ password: 'SecurePass123' })
  const users: User[] = []
  for await (const user of roster.list('/api/v1/users', { params: { query: { limit: 50 } } }))
    users.push(user)
  return users
}

export const codeOf = (error: unknown): ProblemCode | 'unexpected_reply' | undefined =>
  isRosterError(error) ? error.code : undefined

export const verify: (token: string) => Promise<AccessTokenClaims> = createTokenVerifier({ url: roster.url })
export const guards = [
  expressGuard(verify),
  fastifyGuard(createIntrospector({ roster })),
  withUser(verify, () => new Response()),
]
export { createReplica }
