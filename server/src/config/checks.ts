import fs from 'node:fs'
import { isLoopback } from '../lib/loopback.ts'
import type { RateLimits } from './parsers.ts'
import { type Finding, refuse, type SettingContext, warn } from './setting.ts'

/** Texts from examples and documentation that people forget to replace. */
const placeholders = [
  'your-super-secret',
  'your-secret',
  'your_secret',
  'yoursecret',
  'super-secret',
  'supersecret',
  'secret-key',
  'secret_key',
  'changeme',
  'change-me',
  'change_me',
  'change-this',
  'change_this',
  'replace-me',
  'replace_me',
  'replace-this',
  'placeholder',
  'example',
  'xxxxxxxx',
]

export function checkPublicUrl(
  url: string | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (url !== undefined && new URL(url).port === '0') return refuse('must be given where PORT is 0')
  if (environment !== 'production' || url === undefined || url.startsWith('https:')) return
  if (isLoopback(new URL(url).hostname)) return
  return refuse('must start with https:// in production, except on this machine itself')
}

export function checkHost(host: string | undefined, { environment }: SettingContext): Finding | undefined {
  if (environment !== 'development' || host === undefined || isLoopback(host)) return
  return warn('other machines can reach this service, which runs with the settings of development')
}

export function checkOrigins(
  origins: '*' | readonly string[] | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production' || origins === undefined) return
  if (origins === '*') return refuse('must list exact origins in production, or be `none`')
  const plain = origins.find(origin => origin.startsWith('http:') && !isLoopback(new URL(origin).hostname))
  if (plain) return warn(`${plain} is not https: whoever is on the way can act as that origin`)
  return
}

export function checkProxies(networks: readonly string[] | undefined): Finding | undefined {
  if (!networks?.some(network => Number(network.split('/')[1]) === 0)) return
  return refuse('trusts every address, so that any client could choose the address it is counted under')
}

/** Of what is read later, at the first mail say. */
export function checkFolder(folder: string | undefined): Finding | undefined {
  const isThere = folder === undefined || fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()
  return isThere ? undefined : refuse('is no folder')
}

export function checkImageFile(file: string | undefined): Finding | undefined {
  if (file === undefined) return undefined
  if (!/\.(svg|png|webp)$/i.test(file)) return refuse('is no .svg, .png or .webp file')
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ? undefined : refuse('is no file')
}

export function checkDatabaseUrl(
  url: string | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production') return
  if (url === undefined) return warn('not set: the embedded PostgreSQL in DATA_DIR is used')
  const { hostname, searchParams } = new URL(url)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  if (host === '' || host.startsWith('/') || isLoopback(host)) return
  const sslmode = searchParams.get('sslmode') ?? ''
  if (['verify-ca', 'verify-full'].includes(sslmode)) return
  if (sslmode === 'require') {
    return warn(
      'sslmode=require checks no certificate: whoever is in between can pose as the database. verify-full does',
    )
  }
  return refuse(
    'would cross a network in plain text: add sslmode=verify-full (or verify-ca, or require) in production',
  )
}

/** For the addresses of Redis and RabbitMQ. */
export function checkPlainText(
  url: string | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production' || url === undefined) return
  const { hostname, protocol } = new URL(url)
  if (protocol === 'rediss:' || protocol === 'amqps:' || isLoopback(hostname)) return
  return warn(`crosses a network in plain text; ${protocol.slice(0, -1)}s:// does not`)
}

export function checkEncryptionKey(
  key: Buffer | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production' || key === undefined || looksRandom(key)) return
  return refuse('is not random: `openssl rand -base64 32` prints one that is')
}

/** Words, counters and repetitions fail this; 32 random bytes have about 30 different values and never do. */
function looksRandom(key: Buffer): boolean {
  const steps = key.map((byte, i) => byte - (key[(i + 1) % key.length] ?? 0))
  const printable = key.every(byte => byte >= 0x20 && byte < 0x7f)
  return !printable && new Set(key).size >= 16 && new Set(steps).size >= 16
}

export function checkJwtSecret(secret: string | undefined, context: SettingContext): Finding | undefined {
  const used = context.text('JWT_ALGORITHM')?.trim().toUpperCase() === 'HS256'
  if (secret === undefined) return used ? refuse('missing: JWT_ALGORITHM=HS256 signs with it') : undefined
  const weakness = weaknessOf(secret, 32)
  if (context.environment === 'production' && weakness && (used || weakness.placeholder)) {
    return refuse(weakness.message)
  }
  if (!used) return warn('has no effect: it signs tokens only with JWT_ALGORITHM=HS256')
  return weakness && warn(weakness.message)
}

export function checkMetricsToken(
  token: string | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production') return
  if (token === undefined) return warn('not set: /metrics stays closed')
  const weakness = weaknessOf(token, 16)
  return weakness && refuse(weakness.message)
}

export function checkRateLimits(
  limits: RateLimits | undefined,
  { environment }: SettingContext,
): Finding | undefined {
  if (environment !== 'production' || limits !== 'off') return
  return refuse('can be `off` in development only')
}

function weaknessOf(secret: string, bytes: number): { message: string; placeholder: boolean } | undefined {
  const folded = secret.toLowerCase()
  if (placeholders.some(text => folded.includes(text))) {
    return { message: 'is a placeholder from an example, known to everybody', placeholder: true }
  }
  if (Buffer.byteLength(secret) < bytes) {
    return { message: `is shorter than ${bytes} bytes, so it can be guessed`, placeholder: false }
  }
  if (new Set(secret).size < 10) {
    return { message: 'repeats a few characters, so it can be guessed', placeholder: false }
  }
  return undefined
}
