import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Address = { address: string; family: 4 | 6 }

/** The host may not be called; the message says why. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress'
}

/** Global unicast (IANA): all of IPv6 that is handed out to anybody. */
const globalUnicast = ipaddr.parseCIDR('2000::/3')

/**
 * Whether an address is out on the public internet. IPv4 written as IPv6 counts as what it maps to. Everything
 * that IANA sets aside is not: loopback, private, link-local (cloud metadata), shared (carrier NAT), unique
 * local, multicast, documentation, NAT64, 6to4, Teredo …
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address) || address.includes('%')) return false
  const parsed = ipaddr.process(address)
  if (parsed.range() !== 'unicast') return false
  return parsed.kind() === 'ipv4' || parsed.match(globalUnicast)
}

/** Whether an address lies in one of the networks (CIDR notation, or single addresses). */
export function isInNetworks(address: string, networks: readonly string[]): boolean {
  const parsed = ipaddr.process(address)
  return networks.some(text => {
    const [network, bits] = ipaddr.parseCIDR(
      text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`,
    )
    return network.kind() === parsed.kind() && parsed.match(network, bits)
  })
}

export type Resolve = (host: string) => Promise<readonly string[]>

const resolveAll: Resolve = async host => (await lookup(host, { all: true })).map(({ address }) => address)

/**
 * Resolves a host and returns one address to connect to; no name is looked up again after the check. If any of
 * its addresses is neither public nor in `allowed`, the host is refused as a whole, in the same words as a name that
 * does not exist: nobody is to learn which names there are in the own network.
 * @throws ForbiddenAddress
 */
export async function resolveAllowed(
  hostname: string,
  allowed: readonly string[],
  resolve: Resolve = resolveAll,
): Promise<Address & { isPrivate: boolean }> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const addresses = isIP(host) ? [host] : await resolve(host).catch(() => [])
  const mayBeCalled = (address: string) => isPublicAddress(address) || isInNetworks(address, allowed)
  const [first] = addresses
  if (first === undefined || !addresses.every(mayBeCalled)) {
    throw new ForbiddenAddress('the host has no public address')
  }
  return { address: first, family: isIP(first) === 6 ? 6 : 4, isPrivate: !isPublicAddress(first) }
}
