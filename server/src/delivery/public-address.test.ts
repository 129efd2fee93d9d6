import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isInNetworks, isPublicAddress, resolveAllowed } from './public-address.ts'

describe('public addresses', () => {
  test.each(['93.184.216.34', '8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e'])(
    '%s is one',
    address => expect(isPublicAddress(address)).toBe(true),
  )

  test.each([
    ['loopback', '127.0.0.1'],
    ['all of 127/8', '127.255.255.254'],
    ['this network', '0.0.0.0'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['link-local and cloud metadata', '169.254.169.254'],
    ['shared with a carrier', '100.64.0.1'],
    ['protocol assignments', '192.0.0.1'],
    ['documentation', '192.0.2.1'],
    ['documentation', '198.51.100.7'],
    ['documentation', '203.0.113.7'],
    ['benchmarking', '198.18.0.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['loopback', '::1'],
    ['unspecified', '::'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['mapped private, in hex', '::ffff:a00:1'],
    ['IPv4-compatible loopback', '::127.0.0.1'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['unique local', 'fd00::1'],
    ['unique local, with Amazon’s metadata', 'fd00:ec2::254'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['NAT64 of loopback', '64:ff9b::7f00:1'],
    ['local NAT64', '64:ff9b:1::a00:1'],
    ['6to4 of loopback', '2002:7f00:1::'],
    ['Teredo', '2001::1'],
    ['documentation', '2001:db8::1'],
    ['discard', '100::1'],
    ['no address', 'localhost'],
    ['nothing', ''],
  ])('%s (%s) is none', (_name, address) => expect(isPublicAddress(address)).toBe(false))

  test('no address of a private IPv4 network is one, in either notation', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    const address = fc.oneof(
      fc.tuple(fc.constant(127), octet, octet, octet),
      fc.tuple(fc.constant(10), octet, octet, octet),
      fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
      fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
      fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), octet, octet),
    )
    fc.assert(
      fc.property(address, parts => {
        expect(isPublicAddress(parts.join('.'))).toBe(false)
        expect(isPublicAddress(`::ffff:${parts.join('.')}`)).toBe(false)
      }),
    )
  })
})

describe('resolving', () => {
  const resolve =
    (...addresses: string[]) =>
    async () =>
      addresses

  test('refuses a host as soon as one of its addresses is private', async () => {
    await expect(resolveAllowed('a.example', [], resolve('8.8.8.8', '127.0.0.1'))).rejects.toThrow(
      'no public address',
    )
  })

  test('refuses a host without addresses, and a literal in brackets', async () => {
    await expect(resolveAllowed('a.example', [], resolve())).rejects.toThrow('no public address')
    await expect(resolveAllowed('[::1]', [])).rejects.toThrow('no public address')
  })

  test('lets private addresses pass in the networks that are allowed, and in no other', async () => {
    const allowed = ['10.1.0.0/16', '192.168.7.7', 'fd00::/8']
    expect(await resolveAllowed('a.example', allowed, resolve('10.1.2.3'))).toEqual({
      address: '10.1.2.3',
      family: 4,
      isPrivate: true,
    })
    await expect(resolveAllowed('a.example', allowed, resolve('10.2.0.1'))).rejects.toThrow(
      'no public address',
    )
    expect(isInNetworks('192.168.7.7', allowed)).toBe(true)
    expect(isInNetworks('192.168.7.8', allowed)).toBe(false)
    expect(isInNetworks('fd12::1', allowed)).toBe(true)
    expect(isInNetworks('::ffff:10.1.0.1', allowed)).toBe(true)
  })
})
