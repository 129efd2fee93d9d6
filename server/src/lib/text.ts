import { domainToASCII, domainToUnicode } from 'node:url'

/** Length as people count it: code points, not UTF-16 units. */
export const codePoints = (text: string): number => {
  let n = 0
  for (const _ of text) n += 1
  return n
}

const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** Control, format and line-separator characters: invisible, and able to break out of a mail header. */
export const hasControls = (text: string): boolean => controls.test(text)

/**
 * Format characters without which some names are misspelt: joiners (emoji, Persian, Indic scripts), marks of
 * direction (Arabic, Hebrew), signs that stand around digits (Arabic, Syriac, Kaithi), and the tags of a flag
 * such as England's, which only count after a picture and up to their end (UTS #51, emoji tag sequences).
 */
const formatsOfWriting =
  /[\u200c-\u200f\u061c\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]|(?<=\p{Extended_Pictographic}[\ufe0f\u{1f3fb}-\u{1f3ff}]?)[\u{e0020}-\u{e007e}]+\u{e007f}/gu

/** Whether a text is one line, without control and format characters but those that writing needs. */
export const isPlainLine = (text: string): boolean => !hasControls(text.replace(formatsOfWriting, ''))

const outerSpace = /^\p{White_Space}+|\p{White_Space}+$/gu

/** Without white space at both ends: all that Unicode calls so, and the byte order mark, as `trim` does. */
export const trimSpace = (text: string): string => text.replace(outerSpace, '').trim().replace(outerSpace, '')

/** What programs put around an address that is copied: white space, and marks that nobody sees. */
const aroundAddress =
  /^[\p{White_Space}\p{Default_Ignorable_Code_Point}]+|[\p{White_Space}\p{Default_Ignorable_Code_Point}]+$/gu

/** What leaves nothing to see where it stands alone: also fillers, the blank of Braille, marks without a letter. */
const unseen = /[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{C}\p{M}\u2800\u{1d159}]/gu

const isVisible = (text: string): boolean => text.replace(unseen, '') !== ''

/** A name as it is kept: NFC, outer space trimmed, inner runs of space made one. */
export const tidyName = (text: string): string =>
  trimSpace(text.normalize('NFC')).replace(/\p{White_Space}+/gu, ' ')

/** A name as it is kept; null where nothing of it is visible, it is too long, or it has control characters. */
export function readName(text: string, longest: number): string | null {
  const tidy = tidyName(text)
  return isVisible(tidy) && codePoints(tidy) <= longest && isPlainLine(tidy) ? tidy : null
}

/** A text of several lines as it is kept; null where nothing of it is visible, or it is too long. */
export function readText(text: string, longest: number): string | null {
  const tidy = trimSpace(text.normalize('NFC'))
  return isVisible(tidy) && codePoints(tidy) <= longest ? tidy : null
}

const localPart = /^[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+)*$/u
const domainLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** An address in the form in which it is stored and mailed, and in that in which it is compared. */
type Email = { address: string; key: string }

/**
 * The form in which two e-mail addresses are compared, or null where the text is no single address that we
 * take: dot-atom local part of at most 64 bytes (RFC 5321, section 4.5.3.1; letters of any script, RFC 6531),
 * one `@`, a domain of two labels or more in punycode, 254 in all. Quoted local parts and address literals
 * are refused: no mailbox of a person needs them, and header injection does. White space around it is not part
 * of it. Two local parts are one where they differ in case or in how their accents are composed, and in nothing
 * else: what only looks alike is another mailbox.
 */
export const emailKey = (text: string): string | null => parseEmail(text)?.key ?? null

/**
 * An address as it is stored and mailed: its local part as typed, in NFC, its domain in letters that people read.
 * Null where `emailKey` is null, and where the local part has letters that NFKC makes others of (`ﬀ`, `ａ`): mail
 * systems differ in whether they do so, and two people would share what is one name to some of them.
 */
export function readEmail(text: string): string | null {
  const email = parseEmail(text)
  if (email === null) return null
  const { key, address } = email
  return fold(key) === key && address.normalize('NFKC') === address ? address : null
}

function parseEmail(text: string): Email | null {
  const email = text.replace(aroundAddress, '')
  if (email.length > 254 || hasControls(email)) return null
  const at = email.indexOf('@')
  if (at < 1 || at !== email.lastIndexOf('@')) return null
  const local = email.slice(0, at).normalize('NFC')
  if (Buffer.byteLength(local) > 64 || !localPart.test(local)) return null
  const typed = email.slice(at + 1)
  const domain = domainKey(typed)
  if (domain === null) return null
  const key = `${local.toLowerCase().normalize('NFC')}@${domain}`
  const address = `${local}@${shownDomain(typed, domain)}`
  return key.length <= 254 && address.length <= 254 ? { key, address } : null
}

/** A domain as people read it: that of plain letters as it was typed, others in the one form that IDNA has. */
function shownDomain(typed: string, ascii: string): string {
  if (typed.toLowerCase() === ascii && !ascii.includes('xn--')) return typed
  const shown = domainToUnicode(ascii)
  return domainToASCII(shown) === ascii && shown.normalize('NFKC') === shown ? shown : ascii
}

function domainKey(domain: string): string | null {
  if (/[\s%/\\:?#[\]]/u.test(domain)) return null
  const ascii = domainToASCII(domain)
  const labels = ascii.split('.')
  if (ascii.length > 253 || labels.length < 2 || !labels.every(label => domainLabel.test(label))) return null
  return /^\d+$/.test(labels.at(-1) ?? '') ? null : ascii
}

/** Compatibility form without case: `ＡＬＩＣＥ`, `Alice` and `alice` are one. */
export const fold = (text: string): string => text.normalize('NFKC').toLowerCase().normalize('NFKC')

/** Letters or digits at both ends: `.git`, `...` and `-rf` mean something to programs. */
export const usernamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{1,28}[A-Za-z0-9]$/

/** A username as it is kept, or null. */
export function readUsername(text: string): string | null {
  const name = trimSpace(text)
  return usernamePattern.test(name) ? name : null
}

/**
 * Usernames are ASCII letters, digits, `.`, `_` and `-`, so that no look-alike of another script can exist;
 * they are compared in folded form.
 */
export const usernameKey = (username: string): string => fold(trimSpace(username))

/** A username made from the local part of an address: what can't stand in one is left out. */
export function usernameFromEmail(email: string): string {
  const local = email.slice(0, email.lastIndexOf('@')).replace(/\+.*$/, '')
  const letters = local.normalize('NFKD').replace(/[^A-Za-z0-9._-]/gu, '')
  const plain = letters
    .replace(/^[._-]+/, '')
    .slice(0, 24)
    .replace(/[._-]+$/, '')
  return plain.length >= 3 ? plain : `user${plain}`
}

/** An http or https address without credentials, at most 2,048 characters, in its normal form; else null. */
export function webUrl(text: string): string | null {
  const typed = trimSpace(text)
  if (typed.length > 2048 || hasControls(typed) || !URL.canParse(typed)) return null
  const url = new URL(typed)
  const plain = (url.protocol === 'https:' || url.protocol === 'http:') && !url.username && !url.password
  return plain && url.href.length <= 2048 ? url.href : null
}

/** A BCP 47 language tag in canonical form (`de-at` and POSIX's `de_AT` → `de-AT`), or null. */
export function localeTag(text: string): string | null {
  const tag = trimSpace(text).replaceAll('_', '-')
  try {
    return tag.length <= 35 ? (Intl.getCanonicalLocales(tag)[0] ?? null) : null
  } catch {
    return null
  }
}
