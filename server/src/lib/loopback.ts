import { isIPv4 } from 'node:net'

/** Whether a host, as it stands in a URL, is this machine itself (RFC 6761, section 6.3; RFC 1122; RFC 4291). */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true
  return isIPv4(name) && name.startsWith('127.')
}

/** Whether a URL, or an origin, is of this machine. */
export const isLoopbackUrl = (text: string): boolean =>
  URL.canParse(text) && isLoopback(new URL(text).hostname)
