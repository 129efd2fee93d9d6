import type { MfaChange } from '../templates.ts'
import type { Context, Language } from './content.ts'

const notYou = ({ site }: Context): string =>
  `Wenn Sie das nicht waren, setzen Sie Ihr Passwort jetzt auf ${site}/forgot-password zurück. Das meldet alle Geräte ab.`

const mfaChanges: Readonly<Record<MfaChange, string>> = {
  totp_added: 'Ihrem Konto wurde eine Authenticator-App hinzugefügt.',
  totp_removed: 'Die Authenticator-App wurde aus Ihrem Konto entfernt.',
  sms_added: 'Codes per SMS wurden für Ihr Konto eingeschaltet.',
  sms_removed: 'Codes per SMS wurden für Ihr Konto ausgeschaltet.',
  email_added: 'Codes per E-Mail wurden für Ihr Konto eingeschaltet.',
  email_removed: 'Codes per E-Mail wurden für Ihr Konto ausgeschaltet.',
  passkey_added: 'Ihrem Konto wurde ein Passkey hinzugefügt.',
  passkey_removed: 'Ein Passkey wurde aus Ihrem Konto entfernt.',
  all_removed: 'Die Administration hat alle zweiten Faktoren und Passkeys aus Ihrem Konto entfernt.',
  all_handed_over:
    'Alle zweiten Faktoren und Passkeys wurden aus Ihrem Konto entfernt, weil bisher nicht feststand, dass diese Adresse Ihnen gehört. Richten Sie eigene ein.',
  newer_removed:
    'Die zweiten Faktoren, Passkeys und Wiederherstellungscodes, die nach der Änderung Ihrer E-Mail-Adresse dazukamen, wurden aus Ihrem Konto entfernt.',
  recovery_codes_created:
    'Für Ihr Konto wurden neue Wiederherstellungscodes erzeugt. Frühere gelten nicht mehr.',
  recovery_code_used: 'Einer Ihrer Wiederherstellungscodes wurde zum Anmelden benutzt. Er gilt nicht mehr.',
}

/** Device names are made in English: “Firefox on Linux”. */
const inGerman = (device: string): string =>
  device === 'Unknown device' ? 'Unbekanntes Gerät' : device.replace(' on ', ' auf ')

export const german: Language = {
  greeting: name => (name === undefined ? 'Guten Tag,' : `Guten Tag ${name},`),
  linkHint: 'Falls die Schaltfläche nicht funktioniert, öffnen Sie diese Adresse:',
  footer: ({ brand, site }) => `Gesendet von ${brand} (${site}) zu Ihrem Konto.`,

  mails: {
    verify_email: ({ code, link }, { brand }) => ({
      subject: `Bestätigen Sie Ihre E-Mail-Adresse für ${brand}`,
      preview: 'Ein Schritt fehlt noch: Diese Adresse gehört Ihnen?',
      heading: 'E-Mail-Adresse bestätigen',
      paragraphs: [
        `Willkommen bei ${brand}. Bestätigen Sie, dass diese Adresse Ihnen gehört${code === undefined ? '' : ': folgen Sie dem Link, oder geben Sie den Code ein'}.`,
      ],
      action: { label: 'Adresse bestätigen', url: link },
      ...(code !== undefined && { code }),
      note: `${code === undefined ? 'Der Link gilt 24 Stunden.' : 'Der Code gilt 10 Minuten, der Link 24 Stunden.'} Wenn Sie sich nicht registriert haben, können Sie diese E-Mail ignorieren.`,
    }),
    password_reset: ({ link }, { brand }) => ({
      subject: `Ihr Passwort für ${brand} zurücksetzen`,
      preview: 'Wählen Sie innerhalb einer Stunde ein neues Passwort.',
      heading: 'Passwort zurücksetzen',
      paragraphs: ['Jemand, hoffentlich Sie, hat ein neues Passwort für Ihr Konto angefordert.'],
      action: { label: 'Neues Passwort wählen', url: link },
      note: 'Der Link funktioniert einmal und eine Stunde lang. Wenn Sie nichts angefordert haben, ignorieren Sie diese E-Mail: Ihr Passwort bleibt, wie es ist.',
    }),
    email_change_code: ({ code }, { brand }) => ({
      subject: `Bestätigen Sie Ihre neue E-Mail-Adresse für ${brand}`,
      preview: 'Mit diesem Code gilt die neue Adresse.',
      heading: 'Ihre neue E-Mail-Adresse',
      paragraphs: ['Geben Sie diesen Code ein, um diese Adresse für Ihr Konto zu verwenden.'],
      code,
      note: 'Er gilt 10 Minuten. Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese E-Mail: Ohne den Code ändert sich nichts.',
    }),
    email_changed: ({ new_email_masked, undo_link }, { brand }) => ({
      subject: `Ihre E-Mail-Adresse bei ${brand} wurde geändert`,
      preview: 'Wenn Sie das nicht waren, können Sie es 72 Stunden lang rückgängig machen.',
      heading: 'Ihre E-Mail-Adresse wurde geändert',
      paragraphs: [
        'Ihr Konto verwendet jetzt eine andere Adresse, und diese hier bekommt keine E-Mails mehr dazu.',
        'Wenn Sie das nicht waren, machen Sie es rückgängig. Das stellt diese Adresse wieder her, meldet alle Geräte ab und verlangt ein neues Passwort.',
      ],
      facts: [{ label: 'Neue Adresse', value: new_email_masked }],
      action: { label: 'Änderung rückgängig machen', url: undo_link },
      note: 'Das ist 72 Stunden lang möglich. Wenn Sie die Adresse selbst geändert haben, ist nichts zu tun.',
    }),
    new_device: ({ device, ip, at }, context) => ({
      subject: `Neue Anmeldung bei Ihrem Konto für ${context.brand}`,
      preview: `${inGerman(device)}, ${context.when(at)}`,
      heading: 'Ein neues Gerät hat sich angemeldet',
      paragraphs: ['Ihr Konto wurde auf einem Gerät benutzt, das wir noch nicht kannten.'],
      facts: [
        { label: 'Gerät', value: inGerman(device) },
        { label: 'IP-Adresse', value: ip },
        { label: 'Zeit', value: context.when(at) },
      ],
      note: `Wenn Sie das waren, ist nichts zu tun. ${notYou(context)}`,
    }),
    password_changed: ({ at }, context) => ({
      subject: `Ihr Passwort für ${context.brand} wurde geändert`,
      preview: context.when(at),
      heading: 'Ihr Passwort wurde geändert',
      paragraphs: ['Das Passwort Ihres Kontos wurde geändert, und andere Geräte wurden abgemeldet.'],
      facts: [{ label: 'Zeit', value: context.when(at) }],
      note: `Wenn Sie das waren, ist nichts zu tun. ${notYou(context)}`,
    }),
    refresh_token_reused: ({ at }, context) => ({
      subject: `Eine Sitzung bei ${context.brand} wurde zu Ihrer Sicherheit beendet`,
      preview: 'Ihr Schlüssel wurde zweimal benutzt, wie es nach einem Diebstahl vorkommt.',
      heading: 'Wir haben eine Ihrer Sitzungen beendet',
      paragraphs: [
        'Ein Schlüssel, der eines Ihrer Geräte angemeldet hält, wurde zweimal benutzt. Das kommt vor, wenn ihn jemand kopiert hat. Deshalb haben wir das Gerät abgemeldet.',
        'Melden Sie sich dort, wo Sie es brauchen, neu an. Wenn diese E-Mail öfter kommt, ändern Sie Ihr Passwort und prüfen Sie das Gerät auf Schadsoftware.',
      ],
      facts: [{ label: 'Zeit', value: context.when(at) }],
    }),
    account_deleted: ({ restore_link, erase_at }, context) => ({
      subject: `Ihr Konto bei ${context.brand} wurde gelöscht`,
      preview: `Sie können es bis ${context.when(erase_at)} wiederherstellen.`,
      heading: 'Ihr Konto wurde gelöscht',
      paragraphs: [
        'Ihr Konto ist geschlossen, und alle Geräte sind abgemeldet.',
        `Bis ${context.when(erase_at)} können Sie es so zurückhaben, wie es war. Danach wird alles darin endgültig gelöscht.`,
      ],
      action: { label: 'Konto wiederherstellen', url: restore_link },
    }),
    invitation: ({ link, inviter }, { brand }) => ({
      subject: `Sie sind zu ${brand} eingeladen`,
      preview: 'Wählen Sie ein Passwort, und Ihr Konto ist fertig.',
      heading: `Willkommen bei ${brand}`,
      paragraphs: [
        inviter ? `${inviter} hat ein Konto für Sie angelegt.` : 'Für Sie wurde ein Konto angelegt.',
        'Wählen Sie ein Passwort, und es ist fertig.',
      ],
      action: { label: 'Einladung annehmen', url: link },
      note: 'Der Link funktioniert einmal und 7 Tage lang. Wenn Sie das nicht erwartet haben, ignorieren Sie diese E-Mail.',
    }),
    address_already_registered: ({ link }, { brand }) => ({
      subject: `Sie haben schon ein Konto bei ${brand}`,
      preview: 'Jemand wollte sich mit Ihrer Adresse registrieren.',
      heading: 'Sie haben schon ein Konto',
      paragraphs: [
        'Jemand, vielleicht Sie, wollte sich mit dieser Adresse registrieren. Zu ihr gibt es schon ein Konto, deshalb wurde nichts geändert.',
        'Wenn Sie Ihr Passwort nicht mehr wissen, wählen Sie ein neues.',
      ],
      action: { label: 'Neues Passwort wählen', url: link },
      note: 'Wenn Sie das nicht waren, ignorieren Sie diese E-Mail. Niemand hat erfahren, dass Sie ein Konto haben.',
    }),
    username_changed: ({ new_username }, context) => ({
      subject: `Ihr Benutzername bei ${context.brand} wurde geändert`,
      preview: `Sie heißen jetzt ${new_username}.`,
      heading: 'Ihr Benutzername wurde geändert',
      paragraphs: [
        'Ab jetzt melden Sie sich mit dem neuen Benutzernamen an, oder wie bisher mit Ihrer E-Mail-Adresse.',
      ],
      facts: [{ label: 'Neuer Benutzername', value: new_username }],
      note: `Wenn Sie das waren, ist nichts zu tun. ${notYou(context)}`,
    }),
    phone_changed: ({ new_phone_masked, at }, context) => ({
      subject: `Ihre Telefonnummer bei ${context.brand} wurde geändert`,
      preview: context.when(at),
      heading: 'Ihre Telefonnummer wurde geändert',
      paragraphs: [
        'Ihr Konto verwendet jetzt eine andere Telefonnummer, und andere Geräte wurden abgemeldet.',
      ],
      facts: [
        { label: 'Neue Nummer', value: new_phone_masked },
        { label: 'Zeit', value: context.when(at) },
      ],
      note: `Wenn Sie das waren, ist nichts zu tun. ${notYou(context)}`,
    }),
    mfa_code: ({ code }, { brand }) => ({
      subject: `Ihr Anmeldecode für ${brand}`,
      preview: 'Geben Sie ihn ein, um die Anmeldung abzuschließen.',
      heading: 'Ihr Anmeldecode',
      paragraphs: ['Geben Sie diesen Code ein, um die Anmeldung abzuschließen.'],
      code,
      note: 'Er gilt 10 Minuten. Geben Sie ihn niemandem: Von uns wird niemand danach fragen. Wenn Sie sich gerade nicht anmelden, ändern Sie Ihr Passwort.',
    }),
    mfa_changed: ({ what }, context) => ({
      subject: `Der Anmeldeschutz Ihres Kontos bei ${context.brand} wurde geändert`,
      preview: mfaChanges[what],
      heading: 'Ihr Anmeldeschutz wurde geändert',
      paragraphs: [mfaChanges[what]],
      note: `Wenn Sie das waren, ist nichts zu tun. ${notYou(context)}`,
    }),
  },

  texts: {
    phone_code: ({ code }, { brand }) =>
      `${code} bestätigt Ihre Telefonnummer für ${brand}. Der Code gilt 10 Minuten.`,
    mfa_code: ({ code }, { brand }) => `${code} ist Ihr Anmeldecode für ${brand}. Geben Sie ihn niemandem.`,
    custom: ({ text }) => text,
  },
}
