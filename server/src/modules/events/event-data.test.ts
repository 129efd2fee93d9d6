import { glob, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { eventTypes } from './event-types.ts'

/** Types, each with the fields of its data, as the code writes them: `role.deleted: role, deletedAt`. */
async function written(): Promise<Set<string>> {
  const modules = path.join(import.meta.dirname, '..')
  const found = new Set<string>()
  for await (const file of glob('**/*.ts', { cwd: modules, exclude: ['**/*.test.ts'] })) {
    const code = await readFile(path.join(modules, file), 'utf8')
    const events = code.matchAll(/type: '([a-z_.]+)'[^,]*,(?:\s*userId\b[^,]*,)?\s*data: \{/g)
    for (const { 0: start, 1: type, index } of events)
      found.add(`${type}: ${fieldsOf(code.slice(index + start.length)).join(', ')}`)
  }
  return found
}

/** The fields of an object literal. `code` begins behind its opening brace. */
function fieldsOf(code: string): string[] {
  const parts = ['']
  let depth = 0
  for (const sign of code) {
    if ('{[('.includes(sign)) depth++
    if ('}])'.includes(sign)) depth--
    if (depth < 0) break
    if (sign === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += sign
  }
  return parts.flatMap(part => /^\s*(\w+)/.exec(part)?.[1] ?? [])
}

/** The same, as the table in the documentation has them. */
async function documented(): Promise<Set<string>> {
  const page = await readFile(new URL('../../../../docs/events.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\| `([a-z_.]+)` \| `([\w, ]+)`/gm)
  return new Set([...rows].map(([, type, fields]) => `${type}: ${fields}`))
}

test('every event is documented with the fields of its data', async () => {
  const events = await written()
  expect(new Set([...events].map(event => event.split(':')[0]))).toEqual(new Set(eventTypes))
  expect(await documented()).toEqual(events)
})
