import { bareText } from './bare-text.ts'

/** A number as it is kept, compared and sent to; or what keeps a text from being one. */
type ReadPhone = { number: string } | { fault: string }

/** Country codes of ITU-T E.164: 1 and 7 are zones, these have two digits, all others three. */
const twoDigitCodes = /^(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/

/**
 * Countries in which a number may begin with 0 after the country code, so that it is no trunk prefix: Italy and the
 * Vatican, San Marino, Ivory Coast, Benin, Congo, Gabon. A `(0)` that people write there belongs to the number.
 */
const withLeadingZero = new Set(['39', '378', '379', '225', '229', '241', '242'])

/** What is dialled before a number inside its country, and never from abroad (ITU-T E.164, 2.4); elsewhere `0`. */
const trunkPrefixes: Readonly<Record<string, string>> = { 36: '06' }

/**
 * An E.164 number: `+`, then 7 to 15 digits with the country code. White space, invisible characters, dashes, dots,
 * slashes and brackets don't matter, full-width forms are read, and a trunk prefix goes (`+44 (0)20 7946 0018` is
 * `+442079460018`), so that a number has one form, and messages to it arrive.
 */
function readPhone(text: string): ReadPhone {
  const bare = withoutSeparators(text)
  if (bare === '') return { fault: 'is empty' }
  const stranger = bare.match(/[^+0-9()]/u)?.[0]
  if (stranger !== undefined) return { fault: `has ${describe(stranger)} in it: ${form}` }
  if (bare.startsWith('00')) return { fault: `begins with 00: ${form}` }
  if (!/^\(?\+/.test(bare)) return { fault: `has no + and country code: ${form}` }
  if (bare.indexOf('+') !== bare.lastIndexOf('+')) return { fault: `has a second +: ${form}` }
  const digits = withoutTrunkPrefix(bare)
  if (digits === undefined) return { fault: `has a 0 that is not part of it: ${form}` }
  if (digits.startsWith('0')) return { fault: `has a country code that begins with 0: ${form}` }
  if (digits.length < 7 || digits.length > 15) return { fault: `has ${digits.length} digits: ${form}` }
  return { number: `+${digits}` }
}

const form = 'takes + and 7 to 15 digits with the country code, e.g. +431234567'

/** The same; null where it is none. */
export function phoneKey(text: string): string | null {
  const read = readPhone(text)
  return 'number' in read ? read.number : null
}

/** What keeps a text from being a number, to follow a field's name; empty where nothing does. */
export function phoneFault(text: string): string {
  const read = readPhone(text)
  return 'fault' in read ? read.fault : ''
}

/** The beginning of a number in the form of whole ones; for searches. */
export function phonePrefix(text: string): string {
  const bare = withoutSeparators(text).replace(/[^+0-9()]/gu, '')
  return `+${withoutTrunkPrefix(bare) ?? digitsOf(bare)}`
}

/** Whether somebody means a phone number rather than a name: those have no +. */
export const meansPhone = (text: string): boolean => /^\(?\+/.test(withoutSeparators(text))

const withoutSeparators = (text: string): string =>
  bareText(text)
    .replace(/[\uff01-\uff5e]/gu, wide => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[-._/·•・･]/gu, '')
    .replaceAll('[', '(')
    .replaceAll(']', ')')

/** Digits, the country code first; undefined where zeros are left over that no number has. */
function withoutTrunkPrefix(bare: string): string | undefined {
  const country = countryCode(digitsOf(bare))
  const national = nationalPart(bare, country.length)
  if (withLeadingZero.has(country)) return country + digitsOf(national)
  const trunk = trunkPrefixes[country] ?? '0'
  const rest = digitsOf(national)
  const significant = rest.startsWith(trunk) ? rest.slice(trunk.length) : rest
  const isLeft = significant.startsWith('0') || /.\(0\)/.test(national)
  return isLeft ? undefined : country + significant
}

/** What follows the country code, brackets and all. */
function nationalPart(bare: string, codeLength: number): string {
  let seen = 0
  const at = [...bare].findIndex(character => /[0-9]/.test(character) && ++seen > codeLength)
  if (at === -1) return ''
  return bare[at - 1] === '(' ? bare.slice(at - 1) : bare.slice(at)
}

const countryCode = (digits: string): string =>
  digits.slice(0, /^[17]/.test(digits) ? 1 : twoDigitCodes.test(digits) ? 2 : 3)

const digitsOf = (text: string): string => text.replace(/[^0-9]/g, '')

function describe(character: string): string {
  const code = `U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`
  return /\p{C}/u.test(character) ? code : `“${character}” (${code})`
}
