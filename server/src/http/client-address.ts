import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Reads the client's address of a request. */
export type ClientAddressReader = (request: IncomingMessage) => string

/** What a peer without an address is (a Unix socket, which only this machine can open). */
const localAddress = '127.0.0.1'

/**
 * The client's address: the connection's, unless that is one of `trustedProxies` (addresses or CIDR ranges).
 * Then X-Forwarded-For is read from the right, past further trusted proxies, to the first address that no
 * trusted proxy vouches for beyond itself. An entry that is no address ends the walk at the hop before it, so
 * a client can prepend what it likes and changes nothing.
 * @returns a canonical address; IPv4-mapped IPv6 as IPv4
 */
export function createClientAddressReader(trustedProxies: readonly string[]): ClientAddressReader {
  const peers = new WeakMap<Socket, string>()
  const isTrusted = createMatcher(trustedProxies)

  function peerAddress(socket: Socket): string {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const address = normaliseAddress(socket.remoteAddress ?? localAddress) ?? localAddress
    peers.set(socket, address)
    return address
  }

  if (trustedProxies.length === 0) return request => peerAddress(request.socket)
  return request => {
    const peer = peerAddress(request.socket)
    const forwarded = request.headers['x-forwarded-for']
    if (forwarded === undefined || !isTrusted(peer)) return peer
    return lastUntrusted(peer, [forwarded].flat().join(','), isTrusted)
  }
}

/**
 * What request limits count by: an IPv4 address, or the /64 of an IPv6 address, which is what one customer
 * gets and can pick addresses from freely.
 */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address
  if (!ipaddr.IPv6.isValid(address)) return address
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv6.parse(address).parts
  return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}:${d.toString(16)}::/64`
}

/** @returns the canonical form, or undefined for what is no address */
export function normaliseAddress(text: string): string | undefined {
  const bare = text.includes('%') ? text.slice(0, text.indexOf('%')) : text
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return bare
  if (!ipaddr.IPv6.isValid(bare)) return undefined
  const address = ipaddr.IPv6.parse(bare)
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toString()
}

/** Hops beyond this are nobody's real chain of proxies. */
const maxHops = 32

function lastUntrusted(peer: string, header: string, isTrusted: (address: string) => boolean): string {
  let client = peer
  const hops = header.slice(-4096).split(',').slice(-maxHops)
  for (const hop of hops.reverse()) {
    const address = normaliseAddress(withoutPort(hop.trim()))
    if (address === undefined) return client
    client = address
    if (!isTrusted(address)) return client
  }
  return client
}

/** Some proxies write `203.0.113.7:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const match = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop) ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)
  return match?.[1] ?? hop
}

function createMatcher(ranges: readonly string[]): (address: string) => boolean {
  const parsed = ranges.map(parseRange)
  const decided = new Map<string, boolean>()
  return address => {
    const known = decided.get(address)
    if (known !== undefined) return known
    const parsedAddress = ipaddr.parse(address)
    const trusted = parsed.some(
      ([network, bits]) => network.kind() === parsedAddress.kind() && parsedAddress.match(network, bits),
    )
    if (decided.size < 1000) decided.set(address, trusted)
    return trusted
  }
}

function parseRange(range: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (range.includes('/')) return unmapped(ipaddr.parseCIDR(range))
  const address = ipaddr.process(range)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

/** Clients' addresses are compared unmapped, so a network of mapped ones is the IPv4 network within. */
function unmapped([network, bits]: [ipaddr.IPv4 | ipaddr.IPv6, number]): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (!(network instanceof ipaddr.IPv6) || !network.isIPv4MappedAddress() || bits < 96) return [network, bits]
  return [network.toIPv4Address(), bits - 96]
}
