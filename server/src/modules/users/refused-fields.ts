import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { ProfileChangesSchema, UserSchema } from './schemas.ts'

/** Fields of the record that have a route of their own, with the checks that they need. */
const changedElsewhere: Readonly<Record<string, string>> = {
  email: 'POST /api/v1/auth/profile/email/initiate',
  username: 'PUT /api/v1/auth/profile/username',
  phone_number: 'POST /api/v1/auth/profile/phone/initiate',
  password: 'POST /api/v1/auth/change-password',
}

/** Whether a user's record has a field that `settable` lacks: one that its owner never sets. */
export const isPrivilegedField = (field: string, settable: object): boolean =>
  Object.hasOwn(UserSchema.properties, field) && !Object.hasOwn(settable, field)

/** Keeps a body from setting fields that nobody sets on themselves, by name and before anything else is said. */
export function refuseFields(body: unknown, isRefused: (field: string) => boolean, reason: string): void {
  const errors = fieldErrors(body, isRefused, 'forbidden_field', field => `${field} ${reason}`)
  if (errors.length > 0) throw new ProblemError('forbidden_field', { errors })
}

/** Keeps a change of one's own record from fields that nobody sets on themselves. @throws ProblemError forbidden_field */
export function refuseOwnPrivileges(body: unknown): void {
  const settable = { ...ProfileChangesSchema.properties, ...changedElsewhere }
  refuseFields(body, field => isPrivilegedField(field, settable), 'can’t be set by its owner')
}

/** Names the routes of fields which the record's own does not change. @throws ProblemError validation_failed */
export const refuseElsewhere = (body: unknown): void => namePlaces(body, changedElsewhere)

/** Names where fields are changed. @throws ProblemError validation_failed for any that are there */
export function namePlaces(body: unknown, places: Readonly<Record<string, string>>): void {
  const isElsewhere = (field: string) => Object.hasOwn(places, field)
  const message = (field: string) => `${field} is changed with ${places[field]}`
  const errors = fieldErrors(body, isElsewhere, 'changed_elsewhere', message)
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
}

function fieldErrors(
  body: unknown,
  isRefused: (field: string) => boolean,
  code: string,
  message: (field: string) => string,
): FieldError[] {
  const fields = typeof body === 'object' && body !== null ? Object.keys(body) : []
  return fields.filter(isRefused).map(field => ({ path: `/${field}`, code, message: message(field) }))
}
