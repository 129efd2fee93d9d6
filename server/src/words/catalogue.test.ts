import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../testing/temporary-folder.ts'
import { acceptedLanguages, duration, loadCatalogue } from './catalogue.ts'
import german from './de.json' with { type: 'json' }
import english from './en.json' with { type: 'json' }

/** A catalogue with files of its own. */
function catalogueWith(files: Record<string, string>) {
  const { folder, remove } = temporaryFolder()
  onTestFinished(remove)
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text)
  return loadCatalogue(folder)
}

const keysOf = (words: Record<string, Record<string, string>>) =>
  Object.entries(words).flatMap(([section, entries]) => Object.keys(entries).map(key => `${section}.${key}`))

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)/g)].map(([, name]) => name).sort()

test('German says everything that English does, with the same placeholders', () => {
  expect(keysOf(german)).toEqual(keysOf(english))
  for (const [section, entries] of Object.entries(english) as [
    keyof typeof english,
    Record<string, string>,
  ][])
    for (const [key, text] of Object.entries(entries)) {
      const translated = (german[section] as Record<string, string>)[key] ?? ''
      expect([section, key, placeholders(translated)]).toEqual([section, key, placeholders(text)])
    }
})

describe('the language', () => {
  const catalogue = loadCatalogue()
  test.each([
    [['de'], 'de'],
    [['de_AT'], 'de-AT'],
    [['fr', 'de-CH', 'en'], 'de-CH'],
    [['fr'], 'en'],
    [['EN-us'], 'en-US'],
    [['not a tag', 'x'.repeat(50), '', '-'], 'en'],
    [[], 'en'],
  ])('of those who wish for %j is %s', (wishes, tag) => {
    expect(catalogue.choose(wishes).tag).toBe(tag)
  })
})

test('a browser’s wishes are read by their weight, and nonsense is none', () => {
  expect(acceptedLanguages('fr;q=0.2, de-AT, en;q=0.9, *;q=0.1, xx;q=0')).toEqual(['de-AT', 'en', 'fr'])
  expect(acceptedLanguages(undefined)).toEqual([])
  expect(acceptedLanguages('en,'.repeat(400))).toEqual([])
})

test('a file brings a language; what it lacks is said in English; it may read from right to left', () => {
  const catalogue = catalogueWith({
    'fr.json': JSON.stringify({ sign_in: { title: 'Connexion à {brand}' } }),
    'ar.json': JSON.stringify({ common: { continue: 'متابعة' } }),
    'notes.txt': 'not a language',
  })
  const french = catalogue.choose(['fr-CA'])
  expect(french.say('sign_in.title', { brand: 'Acme' })).toBe('Connexion à Acme')
  expect(french.say('common.continue')).toBe('Continue')
  expect([french.tag, french.direction]).toEqual(['fr-CA', 'ltr'])
  expect(catalogue.choose(['ar']).direction).toBe('rtl')
})

test.each([
  ['fr.json', '{', /^fr\.json is not JSON/],
  ['fr.json', '[]', /^fr\.json must be an object/],
  ['fr.json', '{"sign_in": "x"}', /^fr\.json: sign_in must be an object/],
  ['fr.json', '{"sign_in": {"title": 1}}', /^fr\.json: sign_in\.title must be a text/],
  ['fr.json', '{"sign_in": {"heading": "x"}}', /^fr\.json: there is no word sign_in\.heading/],
  ['fr.json', '{"sign_in": {"title": "{name}"}}', /^fr\.json: sign_in\.title takes no \{name\}/],
  ['fr.json', '{"sign_in": {"title": "{brand"}}', /^fr\.json: sign_in\.title can’t be read/],
  ['no-tag-at-all-x.json', '{}', /is no language tag/],
])('a file that can’t be used is named, with what is wrong in it: %s %s', (name, text, message) => {
  expect(() => catalogueWith({ [name]: text })).toThrow(message)
})

test.each([
  [0.2, 'en', '1 second'],
  [45, 'en', '45 seconds'],
  [61, 'en', '2 minutes'],
  [3600, 'de', '1 Stunde'],
  [3601, 'en', '2 hours'],
])('%d seconds are, in %s, %s', (seconds, tag, said) => {
  expect(duration(seconds, loadCatalogue().choose([tag]))).toBe(said)
})
