import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import type { CodeMethod } from '../factors/index.ts'
import type { Assertion } from './assertion.ts'
import type { ProofMethod } from './sign-in-machine.ts'

/** What somebody gives to prove a factor. */
export type GivenProof =
  | { method: 'password'; password: string }
  | { method: 'passkey'; credential: Assertion }
  | { method: CodeMethod; code: string }

const proofFields = ['code', 'credential', 'password'] as const

/** The proof in a body: what its method takes, and nothing else. @throws ProblemError validation_failed */
export function readProof(body: {
  method: ProofMethod
  code?: string | undefined
  credential?: Assertion | undefined
  password?: string | undefined
}): GivenProof {
  const { method, code, credential, password } = body
  const others = proofFields.filter(field => field !== fieldOf(method) && body[field] !== undefined)
  if (others.length === 0) {
    if (method === 'password' && password !== undefined) return { method, password }
    if (method === 'passkey' && credential !== undefined) return { method, credential }
    if (method !== 'password' && method !== 'passkey' && code !== undefined) return { method, code }
  }
  const takes = `the method ${method} takes ${fieldOf(method)}`
  const errors: FieldError[] = others.map(field => ({
    path: `/${field}`,
    code: 'unexpected',
    message: `${takes} instead`,
  }))
  if (body[fieldOf(method)] === undefined)
    errors.unshift({ path: `/${fieldOf(method)}`, code: 'required', message: takes })
  throw new ProblemError('validation_failed', { errors })
}

const fieldOf = (method: ProofMethod): (typeof proofFields)[number] =>
  method === 'password' ? 'password' : method === 'passkey' ? 'credential' : 'code'
