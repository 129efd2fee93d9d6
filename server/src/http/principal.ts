/** Who a request acts as: built from the database, never from what a token says of itself. */
export type Principal = {
  readonly userId: string
  readonly sessionId: string
  readonly roles: readonly string[]
  readonly permissions: ReadonlySet<string>
  /** `aal1`: one factor; `aal2`: a second one too (NIST SP 800-63B). */
  readonly assuranceLevel: 'aal1' | 'aal2'
  /** When the person last proved who they are; sensitive routes want this to be recent. */
  readonly authenticatedAt: Date
  /** When they last proved a second factor in this session, or a passkey with user verification. */
  readonly secondFactorAt: Date | null
  /** Whether the user has enrolled a second factor. */
  readonly mfaEnabled: boolean
  /** A role of theirs demands a second factor, and they have none: until then they can do nothing but enrol one. */
  readonly enrolmentDue: boolean
}

export const can = (principal: Principal | undefined, permission: string): boolean =>
  principal?.permissions.has(permission) ?? false
