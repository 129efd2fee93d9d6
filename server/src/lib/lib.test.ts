import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isUuid, uuidToBytes, uuidv7, uuidv7Floor } from './ids.ts'
import { loadingCache } from './loading-cache.ts'
import { shared, withTimeout } from './promises.ts'
import { deriveKey, equalInConstantTime, randomToken, seal, unseal } from './secrets.ts'
import {
  emailKey,
  fold,
  localeTag,
  readEmail,
  readName,
  readUsername,
  tidyName,
  usernameFromEmail,
  usernameKey,
  usernamePattern,
  webUrl,
} from './text.ts'
import { timeZone } from './time-zones.ts'

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

  const space = fc
    .array(fc.constantFrom(' ', '\t', '\n', '\u0085', '\u00a0', '\u2003', '\u2028', '\u202f', '\u3000'))
    .map(characters => characters.join(''))
  const letters = fc.string({
    unit: fc.constantFrom(...'abzABZ09äÖéßøİıΣςσЖж漢ひمשﬀａK①ﬁ.+-_', 'u\u0308', '\u0301'),
    maxLength: 20,
  })

  test('an address is stored and mailed as it is compared, and found by every form of it', () => {
    const address = fc.oneof(
      fc.emailAddress(),
      fc
        .tuple(
          letters,
          fc.constantFrom('example.com', 'Bücher.example', 'exＡmple.com', 'xn--bcher-kva.example'),
        )
        .map(([local, domain]) => `${local}@${domain}`),
    )
    fc.assert(
      fc.property(address, space, space, (email, before, after) => {
        const kept = readEmail(email)
        if (kept === null) return
        expect(kept).toBe(kept.normalize('NFKC'))
        expect(readEmail(kept)).toBe(kept)
        expect(readEmail(before + email.normalize('NFD') + after)).toBe(kept)
        for (const form of [kept, email, before + email + after, email.normalize('NFD')]) {
          expect(emailKey(form)).toBe(emailKey(kept))
        }
        expect(emailKey(kept)).toBe(fold(emailKey(kept) ?? ''))
      }),
      { numRuns: 2000 },
    )
  })

  test.each(['o\ufb00ice', 'ａｌｉｃｅ', 'ﬁn', 'x\u00b2', 'ſam', '①', 'ª'])(
    'an address of %s is refused, and no other’s',
    local => {
      expect(readEmail(`${local}@example.com`)).toBeNull()
      expect(emailKey(`${local}@example.com`)).not.toBe(emailKey(`${local.normalize('NFKC')}@example.com`))
    },
  )

  test('a username made of any address is one, with room for a suffix', () => {
    const local = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), letters)
    fc.assert(
      fc.property(local, local => {
        const name = usernameFromEmail(`${local}@example.com`)
        expect(name).toMatch(usernamePattern)
        expect(`${name}123456`).toMatch(usernamePattern)
      }),
      { numRuns: 1000 },
    )
  })

  test('a username is kept without the space around it, and found with it, in any case', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9._-]{1,32}$/), space, space, (name, before, after) => {
        const kept = readUsername(before + name + after)
        expect(kept).toBe(usernamePattern.test(name) ? name : null)
        expect(usernameKey(before + name.toUpperCase() + after)).toBe(usernameKey(name))
      }),
    )
  })

  test('a name that is kept can be seen, is one line, and is kept as it is the next time', () => {
    const unseen = fc.constantFrom(
      '\u3164',
      '\u115f',
      '\u1160',
      '\uffa0',
      '\u2800',
      '\u200f',
      '\u00ad',
      '\u{e0067}',
    )
    const text = fc
      .array(fc.oneof(unseen, space, letters, fc.string({ unit: 'binary' })))
      .map(all => all.join(''))
    fc.assert(
      fc.property(text, space, (text, around) => {
        const name = readName(text, 75)
        if (name === null) return
        expect([readName(name, 75), readName(around + text.normalize('NFD') + around, 75)]).toEqual([
          name,
          name,
        ])
        expect(name).toMatch(/[\p{L}\p{N}\p{P}\p{S}]/u)
        expect(name).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    '\u3164',
    '\u115f\u1160',
    '\u2800\u2800',
    '\uffa0',
    '\u200f',
    '\u034f',
    '\ufe0f',
    '\u{e0067}',
    ' \u200b ',
    '\u0301',
    '\u{1d159}',
  ])('a name of %j alone has nothing to see', text => expect(readName(text, 75)).toBeNull())

  const england = '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'
  test.each([
    '\u05d3\u05d5\u05d3\u200f (\u05d0)',
    '\u0639\u0644\u064a \u061cx',
    `Ann ${england}`,
    '👩\u200d🚀 Eva',
    '❤\ufe0f',
    '\u0645\u06cc\u200c\u062e',
    '7',
  ])('the name %j is kept', text => expect(readName(text, 75)).toBe(text))

  test.each([
    'a\u202eb',
    'a\u2066b',
    'a\u{e0067}\u{e007f}',
    `${england.slice(0, -2)}`,
    'a\u0000b',
    'a\u200bb',
  ])('the name %j is refused', text => expect(readName(text, 75)).toBeNull())

  test.each([
    ['de_AT', 'de-AT'],
    ['DE_at', 'de-AT'],
    ['zh_hant_tw', 'zh-Hant-TW'],
    ['\u00a0en-gb\n', 'en-GB'],
    ['sr_Latn-RS', 'sr-Latn-RS'],
    ['de__AT', null],
    ['de_AT.UTF-8', null],
    ['_', null],
    ['', null],
  ])('the locale %j is %j, and stays it', (text, tag) => {
    expect(localeTag(text)).toBe(tag)
    if (tag !== null) expect(localeTag(tag.replaceAll('-', '_').toLowerCase())).toBe(tag)
  })

  test.each([
    ['europe/vienna', 'Europe/Vienna'],
    ['asia/calcutta', 'Asia/Calcutta'],
    ['Asia/Kolkata', 'Asia/Kolkata'],
    [' America/argentina/buenos_aires ', 'America/Argentina/Buenos_Aires'],
    ['utc', 'UTC'],
    ['est5edt', 'EST5EDT'],
    ['us/pacific', 'US/Pacific'],
    ['US/Pacific-New', null],
    ['PST', null],
    ['JST', null],
    ['SystemV/AST4', null],
    ['Factory', null],
    ['+02:00', null],
    ['GMT+2', null],
    ['Mars/Olympus', null],
    ['posix/Europe/Vienna', null],
  ])('the time zone %j is %j', (text, zone) => expect(timeZone(text)).toBe(zone))

  test('every time zone of the platform is kept as it is, in whatever case it comes, and can be used', () => {
    const zones = Intl.supportedValuesOf('timeZone')
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.infiniteStream(fc.boolean()),
        space,
        (zone, upper, around) => {
          const typed = [...zone].map(letter =>
            upper.next().value ? letter.toUpperCase() : letter.toLowerCase(),
          )
          expect(timeZone(around + typed.join('') + around)).toBe(zone)
          expect(() => new Intl.DateTimeFormat('en', { timeZone: zone })).not.toThrow()
        },
      ),
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
    ['https://example.com', 'https://example.com/'],
    ['ftp://example.com', null],
    ['javascript:alert(1)', null],
    ['https://user@example.com', null],
    ['\\\\example.com', null],
    [`https://example.com/${'x'.repeat(2048)}`, null],
    [`https://example.com/${'ä'.repeat(1000)}`, null],
  ])('the web address of %.40s is %s', (text, url) => expect(webUrl(text)).toBe(url))
})
