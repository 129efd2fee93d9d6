import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressGroup, createClientAddressReader, normaliseAddress } from './client-address.ts'

/** What the reader looks at of a request. */
function from(remoteAddress: string | undefined, forwarded?: string): IncomingMessage {
  const request = {
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }
  return request as unknown as IncomingMessage // the two members are all that is read
}

describe('the client address', () => {
  test('is the connection’s, whatever X-Forwarded-For says, where no proxy is trusted', () => {
    const read = createClientAddressReader([])
    fc.assert(
      fc.property(fc.string(), header => {
        expect(read(from('198.51.100.7', header))).toBe('198.51.100.7')
      }),
    )
  })

  test('is the connection’s where that is not a trusted proxy', () => {
    const read = createClientAddressReader(['10.0.0.0/8'])
    expect(read(from('198.51.100.7', '203.0.113.9'))).toBe('198.51.100.7')
  })

  test('is the rightmost address that is no trusted proxy', () => {
    const read = createClientAddressReader(['10.0.0.0/8', '2001:db8:1::/48'])
    expect(read(from('10.0.0.1', '1.1.1.1, 203.0.113.9, 10.2.3.4'))).toBe('203.0.113.9')
    expect(read(from('2001:db8:1::5', '203.0.113.9'))).toBe('203.0.113.9')
  })

  test('does not change however a client rotates or garbles what it sends along', () => {
    const read = createClientAddressReader(['10.0.0.0/8'])
    fc.assert(
      fc.property(fc.string(), garbage => {
        expect(read(from('10.0.0.1', `${garbage}, 203.0.113.9`))).toBe('203.0.113.9')
      }),
    )
  })

  test('falls back to the last proxy where the entry that it added is no address', () => {
    const read = createClientAddressReader(['10.0.0.0/8'])
    expect(read(from('10.0.0.1', '203.0.113.9, unknown'))).toBe('10.0.0.1')
    expect(read(from('10.0.0.1', ''))).toBe('10.0.0.1')
    expect(read(from('10.0.0.1', '203.0.113.9, 999.1.1.1, 10.0.0.2'))).toBe('10.0.0.2')
  })

  test('reads the forms that proxies write: ports, brackets, mapped addresses', () => {
    const read = createClientAddressReader(['127.0.0.1'])
    expect(read(from('::ffff:127.0.0.1', '203.0.113.9:4711'))).toBe('203.0.113.9')
    expect(read(from('127.0.0.1', '[2001:DB8::1]:4711'))).toBe('2001:db8::1')
    expect(read(from('127.0.0.1', '::ffff:203.0.113.9'))).toBe('203.0.113.9')
  })

  test('is read past a network of mapped addresses as past the IPv4 network within', () => {
    const read = createClientAddressReader(['::ffff:10.0.0.0/104'])
    expect(read(from('10.9.9.9', '203.0.113.9'))).toBe('203.0.113.9')
    expect(read(from('11.0.0.1', '203.0.113.9'))).toBe('11.0.0.1')
  })

  test('is this machine’s for a Unix socket', () => {
    expect(createClientAddressReader([])(from(undefined))).toBe('127.0.0.1')
  })

  test('refuses the odd spellings of IPv4 that parsers disagree about', () => {
    for (const odd of ['127.1', '0x7f.0.0.1', '0177.0.0.1', '2130706433', '127.0.0.1.', ' 127.0.0.1']) {
      expect(normaliseAddress(odd)).toBeUndefined()
    }
  })
})

describe('the group that limits count by', () => {
  test('is the address for IPv4, and the /64 for IPv6', () => {
    expect(addressGroup('203.0.113.9')).toBe('203.0.113.9')
    expect(addressGroup('2001:db8:0:1::1')).toBe('2001:db8:0:1::/64')
    expect(addressGroup('2001:db8:0:1:ffff:1:2:3')).toBe(addressGroup('2001:db8:0:1::1'))
    expect(addressGroup('2001:db8:0:2::1')).not.toBe(addressGroup('2001:db8:0:1::1'))
  })
})
