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
}

export const can = (principal: Principal | undefined, permission: string): boolean =>
  principal?.permissions.has(permission) ?? false
