import type { Origin } from '../../audit/index.ts'
import type { LinkPurpose, Proof } from '../../verification/index.ts'
import { restoreOwnAccount } from '../delete-account.ts'
import { setUpAdministrator } from '../first-administrator.ts'
import { setPasswordByLink } from '../reset-password.ts'
import type { AuthDeps } from '../routes.ts'
import { undoEmailChange } from '../undo-email-change.ts'
import { verifyEmail } from '../verify-email.ts'
import type { Form } from './forms.ts'
import type { Field } from './html.ts'

type Done = { title: string; text: string }

/** One page that a link opens: what it asks, what its form does, and what it says then. */
export type LinkPage = {
  path: string
  /** The parameter of the link that its form sends along: what allows the act, and what no other site knows. */
  secret: 'token' | 'code'
  /** Of the link, so that a dead one is not given a form; undefined where that can't be looked up. */
  purpose: LinkPurpose | undefined
  rateLimit: 'password' | 'verification' | 'setup'
  title: string
  text(proof: Proof | undefined): string
  fields: readonly Field[]
  button: string
  /** Does it, and says so. */
  submit(deps: AuthDeps, origin: Origin, secret: string, form: Form): Promise<Done>
}

const newPassword: Field = {
  name: 'new_password',
  label: 'New password',
  type: 'password',
  autocomplete: 'new-password',
}

const passwordChanged: Done = {
  title: 'Password changed',
  text: 'You can sign in with your new password now. You were signed out everywhere else.',
}

export const linkPages: readonly LinkPage[] = [
  {
    path: '/verify-email',
    secret: 'token',
    purpose: 'EMAIL_VERIFICATION',
    rateLimit: 'verification',
    title: 'Confirm your e-mail address',
    text: proof =>
      proof?.data.asker === 'anyone'
        ? 'Confirm that this address is yours. We can’t tell whether it was you who created the account, so every device is signed out, and you choose a new password by a second mail.'
        : 'Confirm that this address is yours. If you did not create an account, close this page instead.',
    fields: [],
    button: 'Confirm address',
    async submit(deps, origin, token) {
      const { handedOver } = await verifyEmail(deps, origin, undefined, { token })
      const next = handedOver ? 'A mail to choose a password is on its way.' : 'Thank you.'
      return { title: 'Address confirmed', text: next }
    },
  },
  {
    path: '/reset-password',
    secret: 'token',
    purpose: 'PASSWORD_RESET',
    rateLimit: 'password',
    title: 'Choose a new password',
    text: () => 'You will be signed out on every device.',
    fields: [newPassword],
    button: 'Set password',
    async submit(deps, origin, token, { new_password = '' }) {
      await setPasswordByLink(deps, origin, 'PASSWORD_RESET', { token, new_password })
      return passwordChanged
    },
  },
  {
    path: '/undo-email-change',
    secret: 'token',
    purpose: 'EMAIL_UNDO',
    rateLimit: 'password',
    title: 'Restore your e-mail address',
    text: () =>
      'This gives your account its former address back and signs out every device. Second factors and passkeys that were added after the change are removed, and if the account was deleted after it, it comes back. Choose a new password, since somebody else may know the old one.',
    fields: [newPassword],
    button: 'Restore address',
    async submit(deps, origin, token, { new_password = '' }) {
      const { email } = await undoEmailChange(deps, origin, { token, new_password })
      return { title: 'Address restored', text: `${email} is your address again. ${passwordChanged.text}` }
    },
  },
  {
    path: '/restore-account',
    secret: 'token',
    purpose: 'ACCOUNT_RESTORE',
    rateLimit: 'verification',
    title: 'Restore your account',
    text: () => 'Your account and everything in it comes back as it was.',
    fields: [],
    button: 'Restore account',
    async submit(deps, origin, token) {
      await restoreOwnAccount(deps, origin, token)
      return { title: 'Account restored', text: 'Welcome back. You can sign in again.' }
    },
  },
  {
    path: '/accept-invitation',
    secret: 'token',
    purpose: 'INVITATION',
    rateLimit: 'password',
    title: 'Accept the invitation',
    text: () => 'Choose a password for your account.',
    fields: [newPassword],
    button: 'Set password',
    async submit(deps, origin, token, { new_password = '' }) {
      await setPasswordByLink(deps, origin, 'INVITATION', { token, new_password })
      return { title: 'Welcome', text: 'Your account is ready. You can sign in with your new password.' }
    },
  },
  {
    path: '/setup',
    secret: 'code',
    purpose: undefined,
    rateLimit: 'setup',
    title: 'Create the first administrator',
    text: () => 'The set-up code works once. After that, administrators are made by administrators.',
    fields: [
      { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username' },
      { name: 'password', label: 'Password', type: 'password', autocomplete: 'new-password' },
    ],
    button: 'Create administrator',
    async submit(deps, origin, code, { email = '', password = '' }) {
      await setUpAdministrator(deps, origin, code, { email, password })
      return { title: 'Administrator created', text: 'You can sign in now.' }
    },
  },
]
