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
  const place = platform.model ?? os.name
  if (!browser.name) return { device_name: tool(userAgent), browser: null, os: system }
  return {
    device_name: place ? `${browser.name} on ${place}` : browser.name,
    browser: versioned(browser.name, browser.version),
    os: system,
  }
}

const versioned = (name: string | undefined, version: string | undefined): string | null =>
  name ? [name, version].filter(Boolean).join(' ') : null

/** Programs name themselves first: `curl/8.5.0` → `curl`. */
const tool = (userAgent: string): string => /^[A-Za-z][\w.-]{0,39}/.exec(userAgent)?.[0] ?? 'Unknown device'
