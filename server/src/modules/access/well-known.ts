export const adminRole = 'admin'
/** Everybody holds it, without a grant. */
export const defaultRole = 'user'
