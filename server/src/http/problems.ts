import type { FieldError, Problem } from './problem-schema.ts'

/** What the catalogue says of one error code. */
export type ProblemDefinition = {
  /** HTTP status of the reply. */
  status: number
  /** Short, and the same for every occurrence (RFC 9457 section 3.1.3). */
  title: string
  /** For the reference: when it happens, and what the caller does about it. */
  description: string
  /** Seconds. The `Retry-After` of an occurrence that names none of its own. */
  retryAfter?: number
}

/**
 * Every error that the HTTP API answers with, by its stable code.
 * `docs/errors.md` is generated from this table. A code, once released, keeps its meaning and its status.
 */
export const problems = {
  bad_request: {
    status: 400,
    title: 'Bad request',
    description:
      'The request cannot be understood: a malformed URL, header or message. Correct it; repeating it unchanged gives the same reply.',
  },
  validation_failed: {
    status: 400,
    title: 'Invalid input',
    description:
      'At least one value breaks a rule. `errors` lists all of them, each with a JSON pointer to the field, a code and a message. Unknown fields are refused as well.',
  },
  malformed_json: {
    status: 400,
    title: 'Malformed JSON',
    description:
      'The body is not one well-formed JSON value, repeats a key, has a number larger than a double holds, or is nested deeper than 16 levels. Correct the body.',
  },
  invalid_current_password: {
    status: 400,
    title: 'Wrong current password',
    description:
      'The current password given to confirm a change is wrong. Ask for it again; wrong passwords here count as failed sign-ins do.',
  },
  username_cooldown: {
    status: 400,
    title: 'Username changed too recently',
    description:
      'A username can change once every 15 days. `retry_after` says in how many seconds the next change is possible.',
  },
  username_unchanged: {
    status: 400,
    title: 'Username unchanged',
    description: 'The new username is the present one. Nothing was changed, and no waiting time begins.',
  },
  email_unchanged: {
    status: 400,
    title: 'E-mail address unchanged',
    description: 'The new e-mail address is the present one. Nothing was sent or changed.',
  },
  phone_unchanged: {
    status: 400,
    title: 'Phone number unchanged',
    description: 'The new phone number is the present one, and it is verified. Nothing was sent or changed.',
  },
  invalid_code: {
    status: 400,
    title: 'Invalid code',
    description:
      'The one-time code is wrong, expired or used, was replaced by a newer one, or belongs to another purpose or address. A code lives for 10 minutes and takes 5 tries.',
  },
  invalid_link: {
    status: 400,
    title: 'Invalid link',
    description:
      'The token of the link is wrong, expired or used, or was made for something else. Ask for a new mail.',
  },
  invalid_passkey: {
    status: 400,
    title: 'Passkey not accepted',
    description:
      'The answer of the authenticator does not hold: its challenge is used or expired, it was made for another site, or its signature is wrong. Begin again.',
  },
  unauthorized: {
    status: 401,
    title: 'Sign-in required',
    description:
      'The route needs an access token and the request carries none. Sign in, then send it as `Authorization: Bearer …`.',
  },
  invalid_token: {
    status: 401,
    title: 'Invalid access token',
    description:
      'The access token is malformed, expired, or its session has ended (signed out, password changed, user deactivated …). Refresh it once; if that fails too, sign in again.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    description:
      'Sign-in failed. The reply is the same for a wrong password and for an unknown, inactive or deleted user, so that it does not give away who has an account.',
  },
  unknown_passkey: {
    status: 401,
    title: 'Passkey not known',
    description:
      'The passkey was removed from its account, or never registered here. Tell the browser with `PublicKeyCredential.signalUnknownCredential()`, so that it offers the passkey no longer, and sign in another way.',
  },
  invalid_mfa_token: {
    status: 401,
    title: 'Invalid MFA token',
    description:
      'The `mfa_token` is wrong, used or older than 10 minutes, or the password, the second factors, the e-mail address or the phone number changed since. Sign in again.',
  },
  invalid_mfa_code: {
    status: 401,
    title: 'Wrong second factor',
    description:
      'The code is wrong, expired or used, the passkey or password is wrong, or it was proved before; or the method is not enrolled. The `mfa_token` stays good; wrong ones are counted, and block the method after five.',
  },
  invalid_refresh_token: {
    status: 401,
    title: 'Invalid refresh token',
    description: 'The refresh token is unknown or expired, or its session has ended. Sign in again.',
  },
  refresh_token_reused: {
    status: 401,
    title: 'Refresh token used twice',
    description:
      'A refresh token came again after it had been exchanged, as happens when one is stolen. The whole session was ended. Sign in again.',
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    description:
      'The signed-in user lacks the permission that the route needs; or they would act on somebody, or give a right, beyond what they may themselves. `detail` says which. Ask an administrator.',
  },
  forbidden_field: {
    status: 403,
    title: 'Field not allowed',
    description:
      'The body sets a field that needs a permission the caller lacks, such as `role` at registration, or one that nobody sets on themselves. Leave it out; `errors` names each one.',
  },
  csrf_failed: {
    status: 403,
    title: 'Cross-site request refused',
    description:
      'A request in browser mode (`X-Roster-Client: browser`) has no `Origin`, or one that is neither that of `PUBLIC_URL` nor in `ALLOWED_ORIGINS`. Send it from a page of an allowed origin, or leave the header out and keep the refresh token yourself.',
  },
  step_up_required: {
    status: 403,
    title: 'Recent authentication required',
    description:
      'The route needs a sign-in or a second factor from the last 10 minutes. Authenticate again with `POST /api/v1/auth/step-up`, then repeat the request.',
  },
  second_factor_required: {
    status: 403,
    title: 'Second factor due',
    description:
      'The password is right, and the account has a second factor, which this route of an older protocol can’t ask for. Sign in with `POST /api/v1/auth/login`.',
  },
  mfa_enrolment_required: {
    status: 403,
    title: 'Second factor required',
    description:
      'A role of the signed-in user demands a second factor, and they have none. Until they enrol one (`/api/v1/auth/mfa/…`, `/api/v1/auth/passkeys/…`) their session can do nothing else.',
  },
  premium_required: {
    status: 403,
    title: 'Premium required',
    description: 'Other users are visible to premium users and to holders of `users:read` only.',
  },
  subscriptions_managed: {
    status: 403,
    title: 'Subscriptions are managed',
    description:
      'Users of this service can’t change their own subscription (`SUBSCRIPTIONS=managed`). Holders of `subscriptions:manage` and billing systems do, with `PUT /api/v1/users/{id}/subscription`.',
  },
  email_not_verified: {
    status: 403,
    title: 'E-mail address not verified',
    description:
      'The password is right, but this service lets only users with a verified e-mail address sign in (`REQUIRE_VERIFIED_EMAIL`). Follow the link in the verification mail, or ask for a new one.',
  },
  registration_closed: {
    status: 403,
    title: 'Registration closed',
    description:
      'This service takes no public registrations (`REGISTRATION=closed`). Administrators create its users.',
  },
  invalid_signature: {
    status: 403,
    title: 'Invalid signature',
    description:
      'The call claims to come from Twilio and its signature says otherwise. Check `TWILIO_AUTH_TOKEN`, and that Twilio calls the address that `PUBLIC_URL` begins.',
  },
  invalid_setup_code: {
    status: 403,
    title: 'Invalid set-up code',
    description:
      'The code for creating the first administrator is wrong or was used. The service prints a new one at each start for as long as there is no administrator.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    description: 'There is no such route, or no such resource that the caller may know of.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    description: 'The route exists, but not with this method. The `Allow` header lists those it has.',
  },
  not_acceptable: {
    status: 406,
    title: 'Not acceptable',
    description: 'The `Accept` header admits no representation that the route can give.',
  },
  request_timeout: {
    status: 408,
    title: 'Request took too long to arrive',
    description: 'The headers or the body did not arrive in time. Send the request again.',
  },
  conflict: {
    status: 409,
    title: 'Conflict',
    description: 'The request contradicts the present state of the resource. Read it again, then decide.',
  },
  email_taken: {
    status: 409,
    title: 'E-mail address taken',
    description:
      'Another user has this e-mail address, whatever its case. Use another, or sign in. Where its owner deleted the account and it is not erased yet, a mail with a link that restores it goes to the address.',
  },
  username_taken: {
    status: 409,
    title: 'Username taken',
    description:
      'Another user has this username or one that looks the same, or it was released less than 15 days ago and is still held for its old owner. Choose another.',
  },
  sms_opted_out: {
    status: 409,
    title: 'Number wants no text messages',
    description: 'Whoever has this number replied STOP. Only they can change that, by replying START.',
  },
  phone_taken: {
    status: 409,
    title: 'Phone number taken',
    description: 'Another user has this phone number. Use another.',
  },
  mfa_already_enrolled: {
    status: 409,
    title: 'Already enrolled',
    description: 'This second factor is enrolled. Remove it first to enrol another in its place.',
  },
  mfa_not_begun: {
    status: 409,
    title: 'Nothing to confirm',
    description: 'This second factor is not being set up. Begin with its `setup` route.',
  },
  mfa_not_enrolled: {
    status: 409,
    title: 'No second factor',
    description:
      'The method is not enrolled; or recovery codes are to stand in for a second factor, and there is none. Enrol one first.',
  },
  passkey_taken: {
    status: 409,
    title: 'Passkey already registered',
    description: 'This passkey is registered already, with this account or another one.',
  },
  role_taken: {
    status: 409,
    title: 'Role exists',
    description: 'There is a role of this name already. Change that one, or choose another name.',
  },
  role_in_use: {
    status: 409,
    title: 'Role in use',
    description: 'Users hold the role. Take it from them first (`GET /api/v1/rbac/roles/{name}/members`).',
  },
  system_role: {
    status: 409,
    title: 'System role',
    description:
      'The roles `admin` and `user` can’t be deleted, the rights of `admin` can’t be changed, and `user` is held by everybody and can’t be taken away.',
  },
  last_administrator: {
    status: 409,
    title: 'Last administrator',
    description:
      'The change would leave no active administrator. Make somebody else one first; of two that step down at once, one stays.',
  },
  setup_unavailable: {
    status: 409,
    title: 'Set-up is over',
    description:
      'There is an administrator already, so the set-up code has no use any more. Sign in, or ask an administrator.',
  },
  setting_exists: {
    status: 409,
    title: 'Key already defined',
    description: 'There is a definition under this key. Change it with `PUT`, or choose another key.',
  },
  setting_in_use: {
    status: 409,
    title: 'Definition in use',
    description:
      'The definition can’t be removed: a rule of another one mentions its key, or the service itself obeys it. `detail` says which.',
  },
  stored_values_invalid: {
    status: 409,
    title: 'Stored values would become invalid',
    description:
      'The change of the definition would make values invalid that users have set. `invalid` counts them, `samples` shows some. Change the definition less, or say with `on_invalid` what becomes of them: `reset` (refused as well where the default would break a rule between keys) or `keep`.',
  },
  definition_change_running: {
    status: 409,
    title: 'Definition is being changed',
    description:
      'Another change of this definition, or of one that a rule between keys ties to it, is looking through the stored values. Repeat the request after `Retry-After`, until that has ended.',
    retryAfter: 5,
  },
  precondition_failed: {
    status: 412,
    title: 'Changed by someone else',
    description:
      'The resource is no longer in the version that `If-Match` names; `version` is the present one. Read it again, then decide.',
  },
  position_gone: {
    status: 410,
    title: 'No such place in the feed',
    description:
      'The events after this sequence are no longer held, or it was never given. Take a new snapshot of the users and follow from its `sequence`.',
  },
  payload_too_large: {
    status: 413,
    title: 'Body too large',
    description: 'The body is larger than the route takes (100 KiB unless it says otherwise).',
  },
  uri_too_long: {
    status: 414,
    title: 'URL too long',
    description: 'The URL, or a parameter in it, is longer than the service takes.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    description:
      'The body is of a type that the route does not take. Send JSON, with `Content-Type: application/json`.',
  },
  settings_invalid: {
    status: 422,
    title: 'Invalid settings',
    description:
      'At least one value is refused, so none was changed. `errors` names every bad key with the `rule` that it breaks and what that rule says (`expected`).',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    description:
      'This client sent more requests than the route allows (`RATE_LIMITS`). Wait as long as `Retry-After` says; the `RateLimit-*` headers tell how much is left.',
    retryAfter: 60,
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many failed attempts',
    description:
      'Too many sign-ins for this account, or from this address, failed in a row; the reply is the same whether the account exists or not. Wait as long as `Retry-After` says, or reset the password.',
    retryAfter: 30,
  },
  otp_quota_exceeded: {
    status: 429,
    title: 'Too many codes sent',
    description:
      'This address was sent as many codes and links as it may be in an hour or a day (`OTP_HOURLY_LIMIT`, `OTP_DAILY_LIMIT`). Use the latest one, or wait as long as `Retry-After` says.',
    retryAfter: 3600,
  },
  otp_cooldown: {
    status: 429,
    title: 'Too many wrong codes',
    description:
      'Three wrong codes were given for this address. For 15 minutes it is sent none and none is accepted; links still work. Wait as long as `Retry-After` says.',
    retryAfter: 900,
  },
  headers_too_large: {
    status: 431,
    title: 'Headers too large',
    description: 'The request headers are larger than the service takes.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    description:
      'The service failed. The reply says nothing more on purpose: the log has the details, under the `request_id` of the reply.',
  },
  sms_unavailable: {
    status: 501,
    title: 'No text messages',
    description:
      'The route would send a text message, and the service has no provider for that (`SMS_PROVIDER`). Use another way, or configure one.',
  },
  service_busy: {
    status: 503,
    title: 'Service busy',
    description:
      'More work is waiting than can be finished in good time, passwords to verify above all. Repeat the request after `Retry-After`.',
    retryAfter: 1,
  },
  database_unavailable: {
    status: 503,
    title: 'Database unavailable',
    description:
      'The database does not answer. As a rule nothing was changed; but where the connection broke at the very end, the change may have been made. Repeat the request after `Retry-After`; before one that must not happen twice, look whether it did.',
    retryAfter: 5,
  },
  shutting_down: {
    status: 503,
    title: 'Shutting down',
    description:
      'This process is stopping and takes no new requests. Repeat the request; another process will answer.',
    retryAfter: 2,
  },
} as const satisfies Record<string, ProblemDefinition>

/** A code of the catalogue. */
export type ProblemCode = keyof typeof problems

/** What one occurrence of a problem adds to its catalogue entry. */
export type ProblemOptions = {
  /** For the caller: what is wrong this time. Never holds a secret. */
  detail?: string
  /** The fields at fault. */
  errors?: readonly FieldError[]
  /** Seconds until it makes sense to try again; rounded up. */
  retryAfter?: number
  /** What went wrong underneath: for the log only, it never leaves the process. */
  cause?: unknown
  /** Further members of the body (RFC 9457 section 3.2), snake_case. They never replace a standard one. */
  extra?: Readonly<Record<string, unknown>>
}

/** An error that becomes a problem details reply. Throw it anywhere below a route. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly errors: readonly FieldError[] | undefined
  /** Whole seconds; always present where the catalogue has a default, so on every 429 and 503. */
  readonly retryAfter: number | undefined
  readonly extra: Readonly<Record<string, unknown>> | undefined

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    const definition: ProblemDefinition = problems[code]
    super(options.detail ?? definition.title, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.status = definition.status
    this.title = definition.title
    this.detail = options.detail
    this.errors = options.errors
    this.retryAfter = wholeSeconds(options.retryAfter ?? definition.retryAfter)
    this.extra = options.extra
  }
}

/** Whether `value` is a code of the catalogue. */
export function isProblemCode(value: string): value is ProblemCode {
  return Object.hasOwn(problems, value)
}

/** The stable identifier of a kind of problem: the `type` of its replies. */
export function problemType(code: ProblemCode): string {
  return `urn:roster:problem:${code}`
}

/** The body of the reply (RFC 9457). The cause and the stack of the error are not part of it. */
export function toProblemBody(
  error: ProblemError,
  context: { requestId?: string | undefined; instance?: string | undefined } = {},
): Problem {
  return {
    ...error.extra,
    type: problemType(error.code),
    title: error.title,
    status: error.status,
    code: error.code,
    ...(error.detail !== undefined && { detail: error.detail }),
    ...(context.instance !== undefined && { instance: context.instance }),
    ...(error.errors !== undefined && { errors: [...error.errors] }),
    ...(error.retryAfter !== undefined && { retry_after: error.retryAfter }),
    ...(context.requestId !== undefined && { request_id: context.requestId }),
  }
}

/**
 * The headers that belong to the reply: its content type, `Retry-After` (RFC 9110 section 10.2.3) where there is
 * something to wait for, and with a 401 the challenge that RFC 6750 section 3 asks for.
 */
export function problemHeaders(error: ProblemError): Record<string, string> {
  return {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
    ...(error.status === 401 && { 'www-authenticate': bearerChallenge(error.code) }),
  }
}

function bearerChallenge(code: ProblemCode): string {
  return code === 'invalid_token' ? 'Bearer realm="roster", error="invalid_token"' : 'Bearer realm="roster"'
}

function wholeSeconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.max(1, Math.ceil(seconds))
}
