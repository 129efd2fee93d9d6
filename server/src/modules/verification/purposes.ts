import { days, hours, minutes } from '../../lib/clock.ts'

/** What a one-time code can be for. */
export type CodePurpose =
  | 'EMAIL_VERIFICATION'
  | 'EMAIL_UPDATE'
  | 'PHONE_VERIFICATION'
  | 'MFA_SMS'
  | 'MFA_EMAIL'

/** What a link can be for. */
export type LinkPurpose =
  | 'EMAIL_VERIFICATION'
  | 'PASSWORD_RESET'
  | 'EMAIL_UNDO'
  | 'ACCOUNT_RESTORE'
  | 'INVITATION'

export type Purpose = CodePurpose | LinkPurpose

/** Milliseconds that a code lives, and how often one may be guessed at. */
export const codeLifetime = minutes(10)
export const codeTries = 5

type LinkRules = {
  /** Milliseconds, where the caller says nothing else. */
  lifetime: number
  /** Whether it counts in the quota of its address. Notices don't: an owner is told whatever happened before. */
  counted: boolean
  /** The page that it opens. */
  path: string
}

export const linkRules: Readonly<Record<LinkPurpose, LinkRules>> = {
  EMAIL_VERIFICATION: { lifetime: days(1), counted: true, path: '/verify-email' },
  PASSWORD_RESET: { lifetime: hours(1), counted: true, path: '/reset-password' },
  EMAIL_UNDO: { lifetime: hours(72), counted: false, path: '/undo-email-change' },
  ACCOUNT_RESTORE: { lifetime: days(30), counted: false, path: '/restore-account' },
  INVITATION: { lifetime: days(7), counted: true, path: '/accept-invitation' },
}
