import type { MfaChange } from '../templates.ts'
import type { Context, Language } from './content.ts'

const notYou = ({ site }: Context): string =>
  `If this was not you, reset your password now at ${site}/forgot-password. That signs out every device.`

const mfaChanges: Readonly<Record<MfaChange, string>> = {
  totp_added: 'An authenticator app was added to your account.',
  totp_removed: 'The authenticator app was removed from your account.',
  sms_added: 'Codes by text message were switched on for your account.',
  sms_removed: 'Codes by text message were switched off for your account.',
  email_added: 'Codes by e-mail were switched on for your account.',
  email_removed: 'Codes by e-mail were switched off for your account.',
  passkey_added: 'A passkey was added to your account.',
  passkey_removed: 'A passkey was removed from your account.',
  all_removed: 'An administrator removed every second factor and passkey from your account.',
  all_handed_over:
    'Every second factor and passkey was removed from your account, because it was not known until now that this address is yours. Set up your own.',
  newer_removed:
    'The second factors, passkeys and recovery codes that were added after the change of your e-mail address were removed from your account.',
  recovery_codes_created: 'New recovery codes were created for your account. Earlier ones no longer work.',
  recovery_code_used: 'One of your recovery codes was used to sign in. It will not work again.',
}

export const english: Language = {
  greeting: name => (name === undefined ? 'Hello,' : `Hello ${name},`),
  linkHint: 'If the button does not work, open this address:',
  footer: ({ brand, site }) => `Sent by ${brand} (${site}) about your account.`,

  mails: {
    verify_email: ({ code, link }, { brand }) => ({
      subject: `Confirm your e-mail address for ${brand}`,
      preview: 'One step left: tell us that this address is yours.',
      heading: 'Confirm your e-mail address',
      paragraphs: [
        `Welcome to ${brand}. Confirm that this address is yours${code === undefined ? '' : ': follow the link, or enter the code'}.`,
      ],
      action: { label: 'Confirm address', url: link },
      ...(code !== undefined && { code }),
      note: `${code === undefined ? 'The link works for 24 hours.' : 'The code works for 10 minutes, the link for 24 hours.'} If you did not sign up, ignore this mail.`,
    }),
    password_reset: ({ link }, { brand }) => ({
      subject: `Reset your ${brand} password`,
      preview: 'Choose a new password within one hour.',
      heading: 'Reset your password',
      paragraphs: ['Somebody, hopefully you, asked for a new password for your account.'],
      action: { label: 'Choose a new password', url: link },
      note: 'The link works once, for one hour. If you did not ask for this, ignore this mail: your password stays as it is.',
    }),
    email_change_code: ({ code }, { brand }) => ({
      subject: `Confirm your new e-mail address for ${brand}`,
      preview: 'Enter this code to start using this address.',
      heading: 'Your new e-mail address',
      paragraphs: ['Enter this code to use this address for your account.'],
      code,
      note: 'It works for 10 minutes. If you did not ask for it, ignore this mail: without the code nothing changes.',
    }),
    email_changed: ({ new_email_masked, undo_link }, { brand }) => ({
      subject: `Your ${brand} e-mail address was changed`,
      preview: 'If this was not you, you can undo it for 72 hours.',
      heading: 'Your e-mail address was changed',
      paragraphs: [
        'Your account now uses another address, and this one gets no more mail about it.',
        'If this was not you, undo it. That restores this address, signs out every device and asks for a new password.',
      ],
      facts: [{ label: 'New address', value: new_email_masked }],
      action: { label: 'Undo the change', url: undo_link },
      note: 'Undoing is possible for 72 hours. If you made the change, there is nothing to do.',
    }),
    new_device: ({ device, ip, at }, context) => ({
      subject: `New sign-in to your ${context.brand} account`,
      preview: `${device}, ${context.when(at)}`,
      heading: 'A new device signed in',
      paragraphs: ['Your account was used on a device that we had not seen before.'],
      facts: [
        { label: 'Device', value: device },
        { label: 'IP address', value: ip },
        { label: 'Time', value: context.when(at) },
      ],
      note: `If this was you, there is nothing to do. ${notYou(context)}`,
    }),
    password_changed: ({ at }, context) => ({
      subject: `Your ${context.brand} password was changed`,
      preview: context.when(at),
      heading: 'Your password was changed',
      paragraphs: ['The password of your account was changed, and other devices were signed out.'],
      facts: [{ label: 'Time', value: context.when(at) }],
      note: `If this was you, there is nothing to do. ${notYou(context)}`,
    }),
    refresh_token_reused: ({ at }, context) => ({
      subject: `A ${context.brand} session was ended for your safety`,
      preview: 'Its key was used twice, as happens when one is copied.',
      heading: 'We ended one of your sessions',
      paragraphs: [
        'A key that keeps one of your devices signed in was used twice. That can happen when somebody copied it, so we signed that device out.',
        'Sign in again where you need to. If you keep getting this mail, change your password and check the device for malware.',
      ],
      facts: [{ label: 'Time', value: context.when(at) }],
    }),
    account_deleted: ({ restore_link, erase_at }, context) => ({
      subject: `Your ${context.brand} account was deleted`,
      preview: `You can restore it until ${context.when(erase_at)}.`,
      heading: 'Your account was deleted',
      paragraphs: [
        'Your account is closed and every device is signed out.',
        `Until ${context.when(erase_at)} you can have it back as it was. After that, everything in it is erased for good.`,
      ],
      action: { label: 'Restore my account', url: restore_link },
    }),
    invitation: ({ link, inviter }, { brand }) => ({
      subject: `You are invited to ${brand}`,
      preview: 'Choose a password, and your account is ready.',
      heading: `Welcome to ${brand}`,
      paragraphs: [
        inviter ? `${inviter} made an account for you.` : 'An account was made for you.',
        'Choose a password, and it is ready.',
      ],
      action: { label: 'Accept the invitation', url: link },
      note: 'The link works once, for 7 days. If you did not expect this, ignore this mail.',
    }),
    address_already_registered: ({ link }, { brand }) => ({
      subject: `You already have a ${brand} account`,
      preview: 'Somebody tried to register with your address.',
      heading: 'You already have an account',
      paragraphs: [
        'Somebody, perhaps you, tried to register with this address. It has an account already, so nothing was changed.',
        'If you cannot remember your password, choose a new one.',
      ],
      action: { label: 'Choose a new password', url: link },
      note: 'If this was not you, ignore this mail. Nobody was told that you have an account.',
    }),
    username_changed: ({ new_username }, context) => ({
      subject: `Your ${context.brand} username was changed`,
      preview: `You are now ${new_username}.`,
      heading: 'Your username was changed',
      paragraphs: ['From now on you sign in with your new username, or with your e-mail address as before.'],
      facts: [{ label: 'New username', value: new_username }],
      note: `If this was you, there is nothing to do. ${notYou(context)}`,
    }),
    phone_changed: ({ new_phone_masked, at }, context) => ({
      subject: `Your ${context.brand} phone number was changed`,
      preview: context.when(at),
      heading: 'Your phone number was changed',
      paragraphs: ['Your account now uses another phone number, and other devices were signed out.'],
      facts: [
        { label: 'New number', value: new_phone_masked },
        { label: 'Time', value: context.when(at) },
      ],
      note: `If this was you, there is nothing to do. ${notYou(context)}`,
    }),
    mfa_code: ({ code }, { brand }) => ({
      subject: `Your ${brand} sign-in code`,
      preview: 'Enter it to finish signing in.',
      heading: 'Your sign-in code',
      paragraphs: ['Enter this code to finish signing in.'],
      code,
      note: 'It works for 10 minutes. Never give it to anybody: nobody from our side will ask for it. If you are not signing in, change your password.',
    }),
    mfa_changed: ({ what }, context) => ({
      subject: `The sign-in protection of your ${context.brand} account was changed`,
      preview: mfaChanges[what],
      heading: 'Your sign-in protection was changed',
      paragraphs: [mfaChanges[what]],
      note: `If this was you, there is nothing to do. ${notYou(context)}`,
    }),
  },

  texts: {
    phone_code: ({ code }, { brand }) =>
      `${code} confirms your phone number for ${brand}. It works for 10 minutes.`,
    mfa_code: ({ code }, { brand }) => `${code} is your ${brand} sign-in code. Never give it to anybody.`,
    custom: ({ text }) => text,
  },
}
