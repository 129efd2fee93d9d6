import { createRoster, isRosterError } from '@roster/client'
import { createTokenVerifier } from '@roster/client/tokens'

const [url, email, password] = process.argv.slice(2)
const roster = createRoster({ url })
const { status } = await roster.signIn({ email, password })
const me = await roster.get('/api/v1/users/me')
const refused = await roster
  .get('/api/v1/users/{id}', { params: { path: { id: '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c' } } })
  .catch(error => (isRosterError(error) ? error.code : String(error)))
const verify = createTokenVerifier({ url: 'http://localhost:8000', keysUrl: `${url}/.well-known/jwks.json` })
const claims = await verify(roster.session.accessToken)
console.log(
  JSON.stringify({ email: me.email, status, refused, verified: claims.sub === me.id ? email : claims.sub }),
)
