import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from './cursor.ts'

const key = Buffer.alloc(32, 1)

test('a cursor gives back its place in its own list, and hides it', () => {
  const cursor = encodeCursor(key, 'users by email', ['ada@example.com', null, 7])
  expect(decodeCursor(key, 'users by email', cursor)).toEqual(['ada@example.com', null, 7])
  expect(Buffer.from(cursor, 'base64url').toString()).not.toContain('ada')
})

test('a cursor of another list, of another key, or with any bit changed is refused', () => {
  const cursor = encodeCursor(key, 'users by email', ['a'])
  expect(decodeCursor(key, 'users by username', cursor)).toBeUndefined()
  expect(decodeCursor(Buffer.alloc(32, 2), 'users by email', cursor)).toBeUndefined()
  const bytes = Buffer.from(cursor, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(decodeCursor(key, 'users by email', changed.toString('base64url'))).toBeUndefined()
  }
  for (const text of ['', 'AAAA', '💥', cursor.slice(0, -4)]) {
    expect(decodeCursor(key, 'users by email', text)).toBeUndefined()
  }
})
