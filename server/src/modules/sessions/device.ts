import Bowser from 'bowser'

export type Device = {
  /** e.g. “Firefox on Windows”, “Safari on iPhone”. */
  device_name: string
  browser: string | null
  os: string | null
}

/** What a User-Agent header says of a device, in words for its owner. It is a claim, not a proof. */
export function describeDevice(userAgent: string | null): Device {
  if (!userAgent) return { device_name: 'Unknown device', browser: null, os: null }
  const { browser, os, platform } = Bowser.parse(userAgent)
  const system = versioned(os.name, os.versionName ?? os.version)
  const name = nameOfProgram(userAgent)
  if (name === '') return { device_name: 'Unknown device', browser: null, os: system }
  const place = platform.model ?? os.name
  return {
    device_name: place ? `${name} on ${place}` : name,
    browser: isBrowser(userAgent) ? versioned(browser.name, browser.version) : null,
    os: system,
  }
}

const versioned = (name: string | undefined, version: string | undefined): string | null =>
  name ? [name, version].filter(Boolean).join(' ') : null

/** All browsers call themselves Mozilla first, and hardly anything else does. */
const isBrowser = (userAgent: string): boolean =>
  userAgent.startsWith('Mozilla/') && Boolean(Bowser.parse(userAgent).browser.name)

/**
 * What a program is called, without its version: browsers by their kind, others as they name themselves first
 * (`curl/8.5.0` → `curl`, `My App 3.2 (Android 13)` → `My App`). Empty where it has no name.
 */
function nameOfProgram(userAgent: string): string {
  if (isBrowser(userAgent)) return Bowser.parse(userAgent).browser.name ?? ''
  const first = /^[A-Za-z][\w .-]{0,39}/.exec(userAgent)?.[0].trim() ?? ''
  return first === 'Mozilla' ? '' : first.replace(/(?:[ ._-]+v?\d[\w.]*)+$/i, '')
}

/**
 * What a device without a cookie is known by. Of a browser the kinds of it, its system and its machine: an update
 * or another network makes no new one. Of another program its name, and the network that it comes from: everybody
 * has a curl, so the name alone would let a stranger's script pass for the user's.
 * @param network the group of its address, see `addressGroup`
 */
export function markOfDevice(userAgent: string | undefined, network: string): string {
  const text = (userAgent ?? '').slice(0, 512)
  if (text === '') return `program |${network}`
  const { os, platform } = Bowser.parse(text)
  const kind = [nameOfProgram(text), os.name, platform.type, platform.model].map(part => part ?? '').join('|')
  return isBrowser(text) ? `agent ${kind}` : `program ${kind}|${network}`
}
