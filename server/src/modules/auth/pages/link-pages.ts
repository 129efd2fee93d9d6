import type { Origin } from '../../audit/index.ts'
import type { LinkPurpose } from '../../verification/index.ts'
import { restoreOwnAccount } from '../delete-account.ts'
import { type NewAdministrator, setUpAdministrator } from '../first-administrator.ts'
import { setPasswordByLink } from '../reset-password.ts'
import type { AuthDeps } from '../routes.ts'
import { undoEmailChange } from '../undo-email-change.ts'
import { verifyEmail } from '../verify-email.ts'
import type { Form } from './forms.ts'
import type { Field } from './html.ts'

/** One page that a link opens: what it asks, what its form does, and what it says then. */
export type LinkPage = {
  path: string
  /** The parameter of the link that its form sends along: what allows the act, and what no other site knows. */
  secret: 'token' | 'code'
  /** Of the link, so that a dead one is not given a form; undefined where that can't be looked up. */
  purpose: LinkPurpose | undefined
  rateLimit: 'password' | 'verification' | 'setup'
  title: string
  text: string
  fields: readonly Field[]
  button: string
  submit(deps: AuthDeps, origin: Origin, secret: string, form: Form): Promise<unknown>
  done: { title: string; text: string }
}

const newPassword: Field = {
  name: 'new_password',
  label: 'New password',
  type: 'password',
  autocomplete: 'new-password',
}

const signInAgain = 'You can sign in with your new password now. You were signed out everywhere else.'

export const linkPages: readonly LinkPage[] = [
  {
    path: '/verify-email',
    secret: 'token',
    purpose: 'EMAIL_VERIFICATION',
    rateLimit: 'verification',
    title: 'Confirm your e-mail address',
    text: 'Confirm that this address is yours. If you did not create an account, close this page instead.',
    fields: [],
    button: 'Confirm address',
    submit: (deps, origin, token) => verifyEmail(deps, origin, undefined, { token }),
    done: {
      title: 'Address confirmed',
      text: 'Thank you. If we could not be sure that you created the account yourself, a mail to choose a password is on its way.',
    },
  },
  {
    path: '/reset-password',
    secret: 'token',
    purpose: 'PASSWORD_RESET',
    rateLimit: 'password',
    title: 'Choose a new password',
    text: 'You will be signed out on every device.',
    fields: [newPassword],
    button: 'Set password',
    submit: (deps, origin, token, form) =>
      setPasswordByLink(deps, origin, 'PASSWORD_RESET', { token, new_password: form.new_password ?? '' }),
    done: { title: 'Password changed', text: signInAgain },
  },
  {
    path: '/undo-email-change',
    secret: 'token',
    purpose: 'EMAIL_UNDO',
    rateLimit: 'password',
    title: 'Restore your e-mail address',
    text: 'This gives your account its former address back and signs out every device. Choose a new password, since somebody else may know the old one.',
    fields: [newPassword],
    button: 'Restore address',
    submit: (deps, origin, token, form) =>
      undoEmailChange(deps, origin, { token, new_password: form.new_password ?? '' }),
    done: { title: 'Address restored', text: signInAgain },
  },
  {
    path: '/restore-account',
    secret: 'token',
    purpose: 'ACCOUNT_RESTORE',
    rateLimit: 'verification',
    title: 'Restore your account',
    text: 'Your account and everything in it comes back as it was.',
    fields: [],
    button: 'Restore account',
    submit: (deps, origin, token) => restoreOwnAccount(deps, origin, token),
    done: { title: 'Account restored', text: 'Welcome back. You can sign in again.' },
  },
  {
    path: '/accept-invitation',
    secret: 'token',
    purpose: 'INVITATION',
    rateLimit: 'password',
    title: 'Accept the invitation',
    text: 'Choose a password for your account.',
    fields: [newPassword],
    button: 'Set password',
    submit: (deps, origin, token, form) =>
      setPasswordByLink(deps, origin, 'INVITATION', { token, new_password: form.new_password ?? '' }),
    done: { title: 'Welcome', text: 'Your account is ready. You can sign in with your new password.' },
  },
  {
    path: '/setup',
    secret: 'code',
    purpose: undefined,
    rateLimit: 'setup',
    title: 'Create the first administrator',
    text: 'The set-up code works once. After that, administrators are made by administrators.',
    fields: [
      { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username' },
      { name: 'password', label: 'Password', type: 'password', autocomplete: 'new-password' },
    ],
    button: 'Create administrator',
    submit: (deps, origin, code, form) => setUpAdministrator(deps, origin, code, administrator(form)),
    done: { title: 'Administrator created', text: 'You can sign in now.' },
  },
]

const administrator = ({ email = '', password = '' }: Form): NewAdministrator => ({ email, password })
