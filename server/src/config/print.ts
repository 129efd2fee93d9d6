import type { Setting } from './setting.ts'
import { settingEntries } from './settings.ts'

const hidden = '********'

/** Text that someone typed, fit to be shown: secrets are hidden, controls escaped, long ones cut. */
export function hide(text: string, secret: Setting['secret']): string {
  if (secret === 'all') return `a secret of ${text.length} characters`
  if (secret === 'password')
    return URL.canParse(text) ? hidePasswords(text) : `something of ${text.length} characters`
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

/** The values of a Config by property, with secrets hidden. */
export function redacted(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...values }
  for (const [, setting] of settingEntries()) {
    const value = values[setting.key]
    if (setting.secret && value !== undefined) copy[setting.key] = printValue(setting, value)
  }
  return copy
}

/** A value as it would be typed, with secrets hidden; empty where there is none. */
export function printValue(setting: Setting, value: unknown): string {
  if (value === undefined) return ''
  if (setting.secret === 'all') return hidden
  if (setting.secret === 'password') return hidePasswords(String(value))
  if (setting.print) return setting.print(value)
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',')
  return String(value)
}

function hidePasswords(text: string): string {
  const url = new URL(text)
  if (url.password) url.password = hidden
  for (const name of [...url.searchParams.keys()]) {
    if (/pass|secret|token|key$/i.test(name)) url.searchParams.set(name, hidden)
  }
  return url.href
}
