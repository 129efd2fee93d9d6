import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { hasControls, usernamePattern } from '../lib/text.ts'
import { BadValue, type Parser } from './setting.ts'

export const integer = (min: number, max: number): Parser<number> => ({
  takes: `a whole number from ${min} to ${max}`,
  parse(text) {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) throw new BadValue()
    return value
  },
})

/** A number of processes; `auto` stands for that of the cores that this process may use. */
export const workers: Parser<number> = {
  takes: '`auto` or a whole number from 1 to 256',
  parse(text, context) {
    if (text.trim().toLowerCase() === 'auto') return availableParallelism()
    return integer(1, 256).parse(text, context)
  },
}

export const boolean: Parser<boolean> = {
  takes: '`true` or `false`',
  parse(text) {
    const word = text.trim().toLowerCase()
    if (['true', 'yes', 'on', '1'].includes(word)) return true
    if (['false', 'no', 'off', '0'].includes(word)) return false
    throw new BadValue()
  },
}

/** One of `words`; case does not count. */
export const oneOf = <const Word extends string>(...words: readonly Word[]): Parser<Word> => ({
  takes: listed(words.map(word => `\`${word}\``)),
  parse(text) {
    const typed = text.trim().toLowerCase()
    const found = words.find(word => word.toLowerCase() === typed)
    if (found === undefined) throw new BadValue()
    return found
  },
})

export const line = (max: number): Parser<string> => ({
  takes: `1 to ${max} characters on one line`,
  parse(text) {
    const value = text.trim()
    if (value === '' || value.length > max || hasControls(value)) throw new BadValue()
    return value
  },
})

/** A secret that others may share, so every character of it counts and nothing is trimmed. */
export const secretText: Parser<string> = {
  takes: 'a random text without control characters',
  parse(text) {
    if (hasControls(text)) throw new BadValue('it holds a control character, perhaps a line break at its end')
    return text
  },
}

/** For a header: what else than these is trimmed or read otherwise on its way. */
export const headerText: Parser<string> = {
  takes: 'a random text of printable ASCII characters without spaces',
  parse(text) {
    if (!/^[!-~]+$/.test(text)) throw new BadValue()
    return text
  },
}

export const path: Parser<string> = {
  takes: 'a path; a relative one starts at the working directory',
  parse(text, { cwd }) {
    if (text.includes('\0')) throw new BadValue()
    return resolve(cwd, text.trim())
  },
}

export const host: Parser<string> = {
  takes: 'an IP address or a host name to listen on',
  parse(text) {
    const value = text.trim()
    if (!isIP(value) && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value)) throw new BadValue()
    if (/^[\d.]+$/.test(value) && !isIP(value)) throw new BadValue('it is no complete IP address')
    return value
  },
}

/** An http(s) origin: the pages and cookies of the service are at the root of its host. */
export const baseUrl: Parser<string> = {
  takes: 'an http or https address without a path, such as `https://accounts.example.com`',
  parse(text) {
    const url = parseUrl(text)
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new BadValue()
    if (url.username || url.password) throw new BadValue('it holds a user or a password')
    if (url.search || url.hash) throw new BadValue('it has a query or a fragment')
    if (!/^\/*$/.test(url.pathname))
      throw new BadValue('it has a path: the service needs a host name of its own')
    return url.origin
  },
}

/** `*`, or web origins (RFC 6454) in their normal form. */
export const origins: Parser<'*' | readonly string[]> = {
  takes: '`*`, `none`, or origins with commas between, such as `https://app.example.com`',
  parse: text => (text.trim() === '*' ? '*' : items(text).map(origin)),
}

function origin(item: string): string {
  if (item.includes('*')) throw new BadValue(`${quote(item)} has a wildcard: list each origin`)
  const url = URL.canParse(item) ? new URL(item) : undefined
  const web = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (!url || !web || url.pathname !== '/' || url.search || url.hash || url.username || url.password) {
    throw new BadValue(`${quote(item)} is no origin: scheme, host and perhaps port, nothing else`)
  }
  return url.origin
}

/** Origins of Android apps, as their passkeys are signed with: the SHA-256 of the certificate, in base64url. */
export const appOrigins: Parser<readonly string[]> = {
  takes:
    '`none`, or origins of Android apps with commas between: `android:apk-key-hash:` and 43 characters of base64url',
  parse: text => items(text).map(appOrigin),
}

function appOrigin(item: string): string {
  const [, hash] = /^android:apk-key-hash:([\w-]{43})=?$/.exec(item) ?? []
  // 43 characters hold two bits more than 32 bytes: an origin is compared as text, so it has to be the usual one.
  if (hash === undefined || Buffer.from(hash, 'base64url').toString('base64url') !== hash)
    throw new BadValue(
      `${quote(item)} is no android:apk-key-hash: with the SHA-256 of a certificate in base64url`,
    )
  return `android:apk-key-hash:${hash}`
}

/** Addresses and networks in CIDR notation. */
export const networks: Parser<readonly string[]> = {
  takes: '`none`, or IP addresses and CIDR networks with commas between, such as `10.0.0.0/8`',
  parse: text => items(text).map(network),
}

function network(item: string): string {
  const [address = '', prefix, ...rest] = item.split('/')
  const family = isIP(address)
  const bits = prefix === undefined ? 0 : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN
  if (!family || rest.length > 0 || address.includes('%') || !(bits <= (family === 4 ? 32 : 128))) {
    throw new BadValue(`${quote(item)} is neither an IP address nor a network`)
  }
  return item
}

/** 32 bytes, as text in hex, base64 or base64url. */
export const key256: Parser<Buffer> = {
  takes: '32 random bytes as base64 or hex; `openssl rand -base64 32` prints them',
  parse(text) {
    const value = text.trim()
    if (/^[0-9a-f]{64}$/i.test(value)) return Buffer.from(value, 'hex')
    if (/^[\w+/-]{43}=?$/.test(value)) return Buffer.from(value, 'base64url')
    throw new BadValue()
  },
}

export type RateLimits = 'off' | Readonly<Partial<Record<RateLimitGroup, { max: number; windowMs: number }>>>

const units: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  min: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
}

/** What routes count in; see http/rate-limits.ts. */
const rateLimitGroups = [
  'read',
  'write',
  'search',
  'login',
  'register',
  'refresh',
  'introspect',
  'password',
  'verification',
  'mfa',
  'setup',
  'export',
] as const

export type RateLimitGroup = (typeof rateLimitGroups)[number]

const isRateLimitGroup = (name: string): name is RateLimitGroup =>
  (rateLimitGroups as readonly string[]).includes(name)

export const rateLimits: Parser<RateLimits> = {
  takes: `\`off\`, or limits such as \`login=20/min,register=10/min\` (units: s, sec, min, h, hour; groups: ${rateLimitGroups.join(', ')})`,
  parse(text) {
    if (text.trim().toLowerCase() === 'off') return 'off'
    const limits = new Map<RateLimitGroup, { max: number; windowMs: number }>()
    for (const item of items(text)) {
      const [, name, max, unit] = /^([a-z][a-z0-9_-]*)\s*=\s*(\d{1,7})\s*\/\s*([a-z]+)$/.exec(item) ?? []
      const windowMs = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit]
      if (name === undefined || windowMs === undefined || Number(max) < 1) {
        throw new BadValue(`${quote(item)} is no limit`)
      }
      if (!isRateLimitGroup(name)) throw new BadValue(`there is no group ${quote(name)}`)
      if (limits.has(name)) throw new BadValue(`${quote(name)} stands there twice`)
      limits.set(name, { max: Number(max), windowMs })
    }
    return Object.fromEntries(limits)
  },
  print: limits =>
    limits === 'off'
      ? limits
      : Object.entries(limits)
          .map(([name, { max, windowMs }]) => `${name}=${max}/${unitOf(windowMs)}`)
          .join(','),
}

const unitOf = (windowMs: number): string =>
  windowMs >= 3_600_000 ? 'hour' : windowMs >= 60_000 ? 'min' : 's'

/** An address with one of `schemes`, as typed. */
export const serviceUrl = (...schemes: readonly string[]): Parser<string> => ({
  takes: `an address that starts with ${listed(schemes.map(scheme => `\`${scheme}://\``))}`,
  parse(text) {
    const url = parseUrl(text)
    if (!schemes.includes(url.protocol.slice(0, -1)) || url.hostname === '') throw new BadValue()
    return text.trim()
  },
})

/**
 * A PostgreSQL address. A driver's name, as SQLAlchemy has it (`postgresql+asyncpg://`), is dropped, asyncpg's
 * `ssl=` becomes libpq's `sslmode=`, and that means what it means to libpq: `require` encrypts and checks no
 * certificate, `verify-ca` checks no host name. The driver takes both for `verify-full` unless told so.
 */
export const databaseUrl: Parser<string> = {
  takes: 'an address such as `postgresql://user:password@host:5432/database?sslmode=verify-full`',
  parse(text) {
    const plain = text.trim().replace(/^(postgres(?:ql)?)\+[a-z0-9]+:/i, '$1:')
    const url = parseUrl(plain)
    if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw new BadValue()
    if (url.pathname.length < 2) throw new BadValue('it names no database')
    const { searchParams } = url
    const mode = searchParams.get('sslmode') ?? sslMode(searchParams.get('ssl'))
    if (mode === null) return plain
    if (!sslModes.includes(mode)) throw new BadValue(`sslmode takes ${listed(sslModes)}`)
    if (mode === 'verify-ca' && !searchParams.get('sslrootcert')) {
      throw new BadValue("sslmode=verify-ca needs sslrootcert, the CA's file")
    }
    searchParams.delete('ssl')
    searchParams.set('sslmode', mode)
    if (!searchParams.has('uselibpqcompat')) searchParams.set('uselibpqcompat', 'true')
    return url.href
  },
}

/** Those that the driver knows: libpq's, less `allow`. */
const sslModes: readonly string[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']

function sslMode(ssl: string | null): string | null {
  if (ssl === null) return null
  if (['true', '1', 'on'].includes(ssl)) return 'verify-full'
  if (['false', '0', 'off'].includes(ssl)) return 'disable'
  return ssl
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined
  if (!url) throw new BadValue()
  return url
}

export const usernames: Parser<readonly string[]> = {
  takes: '`none`, or usernames with commas between, such as `acme,press-office`',
  parse(text) {
    const names = items(text)
    const other = names.find(name => !usernamePattern.test(name))
    if (other !== undefined) throw new BadValue(`${quote(other)} could be no username anyway`)
    return names
  },
}

function items(text: string): string[] {
  if (text.trim().toLowerCase() === 'none') return []
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 60))

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
