import { describe, expect, test } from 'vitest'
import { createPasswordHasher, type PasswordHasher } from '../../../hashing/pool.ts'
import { useTestApp } from '../../../testing/harness.ts'

/** A hasher that notes what it is given. */
function notingHasher(): PasswordHasher & { given: string[] } {
  const hasher = createPasswordHasher({ patience: 600_000 })
  const given: string[] = []
  return {
    ...hasher,
    given,
    verify(hash, password, asker) {
      given.push(hash)
      return hasher.verify(hash, password, asker)
    },
  }
}

const kindOf = (hash: string) => hash.split('$').slice(0, 3).join('$')
const digest = `$${'A'.repeat(22)}$${'A'.repeat(43)}`
const kinds = {
  $2b$04: `$2b$04$${'.'.repeat(53)}`,
  '$scrypt$ln=4,r=8,p=1': `$scrypt$ln=4,r=8,p=1${digest}`,
  '$pbkdf2-sha256$i=100': `$pbkdf2-sha256$i=100${digest}`,
}

describe('what a name that is nobody’s costs', async () => {
  const hasher = notingHasher()
  const roster = await useTestApp({ hasher })
  const admin = await roster.signUpAdmin()
  let imported = 0

  async function imports(hash: string, count: number) {
    for (let n = 0; n < count; n += 1) {
      imported += 1
      const body = { email: `import${imported}@example.com`, password_hash: hash }
      expect((await roster.post('/api/v1/users', body, { token: admin.token })).status).toBe(201)
    }
  }

  /** The kinds that names of nobody are checked against. */
  async function kindsFor(names: readonly Record<string, string>[]): Promise<string[]> {
    hasher.given.length = 0
    for (const name of names) {
      await roster.post('/api/v1/auth/login', { ...name, password: 'WrongPass123' })
    }
    return hasher.given.map(kindOf)
  }

  const names = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ email: `nobody${n}@example.com` }))

  test('is what ours cost, while there are no others', async () => {
    expect(new Set(await kindsFor(names(12)))).toEqual(new Set(['$argon2id$v=19']))
  })

  test('is drawn from all algorithms in use, from their import on, as often as they are', async () => {
    for (const hash of Object.values(kinds)) await imports(hash, 10)
    const forName = (n: number) => roster.services.nobodysHashes.forName(`email_key ${n}`)
    const drawn = await Promise.all(Array.from({ length: 3100 }, (_, n) => forName(n)))
    for (const [kind, hash] of Object.entries(kinds)) {
      const share = drawn.filter(each => kindOf(each) === kind).length
      // 10 of 31 in 3,100: 1,000, give or take five standard deviations.
      expect([kind, share > 870 && share < 1130]).toEqual([kind, true])
      expect(drawn).toContain(hash)
    }
    expect(new Set(await kindsFor(names(40))).size).toBeGreaterThanOrEqual(3)
  })

  test('is the same for a name at every attempt, by every kind of name', async () => {
    const some = [
      { email: 'a@nobody.example' },
      { username: 'nobody.at.all' },
      { phone_number: '+442079460018' },
      { email: 'b@nobody.example' },
    ]
    const first = await kindsFor(some)
    expect(await kindsFor(some)).toEqual(first)
    expect(first).toHaveLength(4)
  })

  test('stays, where other kinds go out of use', async () => {
    const { nobodysHashes } = roster.services
    const all = async () =>
      Promise.all(Array.from({ length: 300 }, (_, n) => nobodysHashes.forName(`x ${n}`)))
    const before = await all()
    await roster.sql("delete from user_credentials where password_hash like '$scrypt%'")
    await imports(kinds.$2b$04, 1)
    const after = await all()
    const moved = after.filter(
      (hash, n) => hash !== before[n] && kindOf(before[n] ?? '') !== '$scrypt$ln=4,r=8,p=1',
    )
    expect(moved.length).toBeLessThan(15)
    for (const hash of moved) expect(kindOf(hash)).toBe('$2b$04')
    expect(after.filter(hash => hash.startsWith('$scrypt'))).toEqual([])
  })

  test('fits no password, and is nobody’s', async () => {
    const rows = await roster.sql('select password_hash from user_credentials')
    const stored = rows.map(({ password_hash }) => password_hash)
    for (let n = 0; n < 20; n += 1) {
      const hash = await roster.services.nobodysHashes.forName(`y ${n}`)
      expect(
        stored.filter(each => each === hash && !each.includes('AAAA') && !each.includes('....')),
      ).toEqual([])
      expect(await hasher.verify(hash, '')).toMatchObject({ valid: false })
    }
  })

  test('is what an account without a password costs, too', async () => {
    const invited = { email: 'invited@example.com' }
    expect((await roster.post('/api/v1/users', invited, { token: admin.token })).status).toBe(201)
    const [first] = await kindsFor([invited])
    expect(await kindsFor([invited, invited])).toEqual([first, first])
  })
})
