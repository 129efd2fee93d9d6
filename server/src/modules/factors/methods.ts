/** A second factor that is checked by a code. */
export type CodeMethod = 'totp' | 'sms' | 'email' | 'recovery_code'

/** What can be asked for after the first factor. */
export type Method = CodeMethod | 'passkey'

/** What a user enrols under a name of its own; passkeys, of which there may be several, are apart. */
export type EnrolledMethod = 'totp' | 'sms' | 'email'

/** How a proof is named in the `amr` of a token (RFC 8176 where it has a name for it). */
export const methodReference: Readonly<Record<Method | 'password', string>> = {
  password: 'pwd',
  totp: 'otp',
  sms: 'sms',
  email: 'email',
  recovery_code: 'recovery_code',
  passkey: 'pop',
}
