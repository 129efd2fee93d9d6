import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isUuid, uuidToBytes, uuidv7, uuidv7Floor } from './ids.ts'
import { loadingCache } from './loading-cache.ts'
import { shared, withTimeout } from './promises.ts'
import { deriveKey, equalInConstantTime, randomToken, seal, unseal } from './secrets.ts'
import { emailKey, fold, phoneKey, tidyName, usernameFromEmail, usernamePattern, webUrl } from './text.ts'

describe('UUIDv7', () => {
  const at = new Date('2001-02-03T04:05:06.789Z')

  test('carries its moment, its version and its variant', () => {
    const id = uuidv7(at)
    expect(isUuid(id)).toBe(true)
    expect(uuidToBytes(id).readUIntBE(0, 6)).toBe(at.getTime())
    expect(id).toMatch(/^.{14}7.{4}[89ab]/)
  })

  test('keeps the order in which ids of one millisecond were made, and repeats none', () => {
    const ids = Array.from({ length: 10_000 }, () => uuidv7(at))
    expect(ids).toEqual(ids.toSorted())
    expect(new Set(ids).size).toBe(10_000)
    // More than a millisecond has numbers for are a few milliseconds ahead.
    expect(uuidToBytes(ids.at(-1) ?? '').readUIntBE(0, 6)).toBeLessThanOrEqual(at.getTime() + 3)
  })

  test('is above the floor of its moment and below that of the next', () => {
    const later = new Date(at.getTime() + 1000)
    const id = uuidv7(later)
    expect(id > uuidv7Floor(later)).toBe(true)
    expect(id < uuidv7Floor(new Date(later.getTime() + 1))).toBe(true)
  })
})

describe('what takes long', () => {
  test('is given up after its time, and never before', async () => {
    const never = new Promise<never>(() => undefined)
    const late = () => new Error('late')
    await expect(withTimeout(never, 10, late)).rejects.toThrow('late')
    await expect(withTimeout(Promise.resolve(1), 10_000, late)).resolves.toBe(1)
    await expect(withTimeout(Promise.reject(new Error('own')), 10_000, late)).rejects.toThrow('own')
  })

  test('is done once for all who ask while it goes on, and anew for the next', async () => {
    let runs = 0
    const ask = shared(async () => ++runs)
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1])
    expect(await ask()).toBe(2)
  })
})

describe('a sealed value', () => {
  const key = randomBytes(32)

  test('opens with its key and context', () => {
    expect(unseal(key, seal(key, 'secret', 'users.1'), 'users.1').toString()).toBe('secret')
  })

  test('opens with no other key or context, nor with any bit changed or missing', () => {
    const sealed = seal(key, 'secret', 'users.1')
    expect(() => unseal(randomBytes(32), sealed, 'users.1')).toThrow()
    expect(() => unseal(key, sealed, 'users.2')).toThrow()
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(() => unseal(key, changed, 'users.1')).toThrow()
      expect(() => unseal(key, sealed.subarray(0, at), 'users.1')).toThrow()
    }
  })

  test('is different each time', () => {
    expect(seal(key, 'secret', 'c')).not.toEqual(seal(key, 'secret', 'c'))
  })
})

test('keys of two purposes have nothing in common, and 16 random bytes are 22 characters', () => {
  const master = randomBytes(32)
  expect(deriveKey(master, 'a')).not.toEqual(deriveKey(master, 'b'))
  expect(deriveKey(master, 'a')).toEqual(deriveKey(master, 'a'))
  expect(randomToken(16)).toMatch(/^[\w-]{22}$/)
  expect(equalInConstantTime('same', 'same')).toBe(true)
  expect(equalInConstantTime('same', 'same, but longer')).toBe(false)
})

describe('a loading cache', () => {
  const setUp = () => {
    const loads: PromiseWithResolvers<{ n: number } | undefined>[] = []
    const seen: string[] = []
    const cache = loadingCache<{ n: number }>({
      max: 2,
      ttl: 60_000,
      load: () => {
        const load = Promise.withResolvers<{ n: number } | undefined>()
        loads.push(load)
        return load.promise
      },
      onKeep: ({ n }) => seen.push(`kept ${n}`),
      onDrop: ({ n }) => seen.push(`dropped ${n}`),
    })
    return { cache, loads, seen }
  }

  test('loads once for all who ask meanwhile', async () => {
    const { cache, loads } = setUp()
    const asked = [cache.get('a'), cache.get('a'), cache.get('a')]
    loads[0]?.resolve({ n: 1 })
    expect(await Promise.all(asked)).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }])
    expect(loads).toHaveLength(1)
    expect(cache.peek('a')).toEqual({ n: 1 })
  })

  test.each(['drop', 'dropLoads', 'clear'] as const)(
    'keeps nothing whose load began before a %s, and loads anew for who asks after it',
    async how => {
      const { cache, loads, seen } = setUp()
      const before = cache.get('a')
      cache[how]('a')
      const after = cache.get('a')
      loads[1]?.resolve({ n: 2 })
      await after
      loads[0]?.resolve({ n: 1 })
      expect(await before).toEqual({ n: 1 })
      expect(cache.peek('a')).toEqual({ n: 2 })
      expect(seen).toEqual(['kept 2'])
    },
  )

  test('remembers neither what is not there nor what failed', async () => {
    const { cache, loads } = setUp()
    const missing = cache.get('a')
    loads[0]?.resolve(undefined)
    expect(await missing).toBeUndefined()
    const failing = cache.get('a')
    loads[1]?.reject(new Error('gone'))
    await expect(failing).rejects.toThrow('gone')
    const third = cache.get('a')
    loads[2]?.resolve({ n: 3 })
    expect(await third).toEqual({ n: 3 })
  })

  test('tells of what leaves, by choice or for want of room', async () => {
    const { cache, loads, seen } = setUp()
    for (const [n, key] of ['a', 'b', 'c'].entries()) {
      const got = cache.get(key)
      loads[n]?.resolve({ n })
      await got
    }
    cache.drop('b')
    expect(seen).toEqual(['kept 0', 'kept 1', 'dropped 0', 'kept 2', 'dropped 1'])
  })
})

describe('text', () => {
  test('folding twice changes nothing more', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => fold(fold(text)) === fold(text)))
  })

  test('an address and its folded form have one key', () => {
    fc.assert(
      fc.property(fc.emailAddress(), email => {
        const key = emailKey(email)
        if (key !== null) expect([emailKey(email.toUpperCase()), emailKey(key)]).toEqual([key, key])
      }),
    )
  })

  test('a username made of any address is one, with room for a suffix', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), local => {
        expect(`${usernameFromEmail(`${local}@example.com`)}123456`).toMatch(usernamePattern)
      }),
    )
  })

  test('a tidy name is tidy', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const name = tidyName(text)
        expect(name).toBe(tidyName(name))
        expect(name).not.toMatch(/^\s|\s$|\s\s/u)
      }),
    )
  })

  test.each([
    ['+43 (1) 234-56.78', '+4312345678'],
    ['004312345678', null],
    ['+12345', null],
    ['+٤٣١٢٣٤٥٦٧٨', null],
    ['+43123456789012345', null],
  ])('the phone number of %s is %s', (text, key) => expect(phoneKey(text)).toBe(key))

  test.each([
    ['https://example.com', 'https://example.com/'],
    ['ftp://example.com', null],
    ['javascript:alert(1)', null],
    ['https://user@example.com', null],
    ['\\\\example.com', null],
    [`https://example.com/${'x'.repeat(2048)}`, null],
    [`https://example.com/${'ä'.repeat(1000)}`, null],
  ])('the web address of %.40s is %s', (text, url) => expect(webUrl(text)).toBe(url))
})
