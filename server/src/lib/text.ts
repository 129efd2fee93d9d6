import { domainToASCII } from 'node:url'

/** Length as people count it: code points, not UTF-16 units. */
export const codePoints = (text: string): number => {
  let n = 0
  for (const _ of text) n += 1
  return n
}

const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** Control, format and line-separator characters: invisible, and able to break out of a mail header. */
export const hasControls = (text: string): boolean => controls.test(text)

/** A name as it is kept: NFC, outer space trimmed, inner runs of space made one. */
export const tidyName = (text: string): string => text.normalize('NFC').trim().replace(/\s+/gu, ' ')

/** Zero-width joiner and non-joiner: part of many emoji, and Persian and Indic names are misspelt without them. */
const joiners = /[\u200c\u200d]/gu

/** A name as it is kept; null where nothing of it is visible, it is too long, or it has control characters. */
export function readName(text: string, longest: number): string | null {
  const tidy = tidyName(text)
  const visible = tidy.replace(joiners, '')
  return visible !== '' && codePoints(tidy) <= longest && !hasControls(visible) ? tidy : null
}

const localPart = /^[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+)*$/u
const domainLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * The form in which two e-mail addresses are compared, or null where the text is no single address that we
 * take: dot-atom local part of at most 64 bytes (RFC 5321, section 4.5.3.1; letters of any script, RFC 6531),
 * one `@`, a domain of two labels or more in punycode, 254 in all. Quoted local parts and address literals
 * are refused: no mailbox of a person needs them, and header injection does.
 */
export function emailKey(email: string): string | null {
  if (email.length > 254 || hasControls(email)) return null
  const at = email.indexOf('@')
  if (at < 1 || at !== email.lastIndexOf('@')) return null
  const local = email.slice(0, at)
  if (Buffer.byteLength(local) > 64 || !localPart.test(local)) return null
  const domain = domainKey(email.slice(at + 1))
  if (domain === null) return null
  const key = `${fold(local)}@${domain}`
  return key.length <= 254 ? key : null
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

export const usernamePattern = /^[A-Za-z0-9._-]{3,30}$/

/**
 * Usernames are ASCII letters, digits, `.`, `_` and `-`, so that no look-alike of another script can exist;
 * they are compared in folded form.
 */
export const usernameKey = (username: string): string => fold(username)

/** A username made from the local part of an address: what can't stand in one is left out. */
export function usernameFromEmail(email: string): string {
  const local = email.slice(0, email.lastIndexOf('@')).replace(/\+.*$/, '')
  const plain = local
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]/gu, '')
    .slice(0, 24)
  return plain.length >= 3 ? plain : `user${plain}`
}

/** An E.164 number (ITU-T E.164: `+`, then 7 to 15 digits, the first not 0) without the usual separators. */
export function phoneKey(phone: string): string | null {
  const bare = phone.replace(/[ ().-]/g, '')
  return /^\+[1-9]\d{6,14}$/.test(bare) ? bare : null
}

/** An http or https address without credentials, at most 2,048 characters, in its normal form; else null. */
export function webUrl(text: string): string | null {
  if (text.length > 2048 || hasControls(text) || !URL.canParse(text)) return null
  const url = new URL(text)
  const plain = (url.protocol === 'https:' || url.protocol === 'http:') && !url.username && !url.password
  return plain && url.href.length <= 2048 ? url.href : null
}

/** A BCP 47 language tag in canonical case (`de-at` → `de-AT`), or null. */
export function localeTag(text: string): string | null {
  try {
    return text.length <= 35 ? (Intl.getCanonicalLocales(text)[0] ?? null) : null
  } catch {
    return null
  }
}

/** An IANA time zone name (`Europe/Vienna`), or null. Offsets such as `+02:00` are not zones. */
export function timeZone(text: string): string | null {
  if (text.length > 64 || !/^[A-Za-z]/.test(text)) return null
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return text
  } catch {
    return null
  }
}
