import fs from 'node:fs'
import path from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'
import german from './de.json' with { type: 'json' }
import english from './en.json' with { type: 'json' }

/** Every word that people read, by section and key, in ICU message format. English is what all others translate. */
type Words = typeof english

/** What a word is called: `sign_in.title`. */
export type WordKey = {
  [Section in keyof Words]: `${Section}.${keyof Words[Section] & string}`
}[keyof Words]

type Values = Readonly<Record<string, string | number>>

/** The words of one language. */
export type Language = {
  /** BCP 47, for `lang` in HTML and for `Intl`. */
  tag: string
  direction: 'ltr' | 'rtl'
  say(key: WordKey, values?: Values): string
}

/** The languages that the service speaks. */
export type Catalogue = {
  /** The first of the wished languages (BCP 47) that is spoken, with its region for dates; else English. */
  choose(wishes: readonly string[]): Language
  tags: readonly string[]
}

/**
 * English, German, and a language for each `<tag>.json` in the folder. A file may lack words: English stands in.
 * @throws Error naming the file and the key of what can't be used: an unknown key, a text that is no message, a
 *   placeholder that the English text does not have
 */
export function loadCatalogue(folder?: string): Catalogue {
  const texts = new Map<string, Map<string, string>>([
    ['en', flatten('en', english)],
    ['de', flatten('de', german)],
  ])
  for (const [tag, words] of folder === undefined ? [] : readFolder(folder)) {
    texts.set(tag, new Map([...(texts.get(tag) ?? []), ...words]))
  }
  const fallback = texts.get('en') ?? new Map<string, string>()
  const languages = new Map<string, Language>()

  function languageOf(base: string, tag: string): Language {
    const known = languages.get(tag)
    if (known) return known
    const made = createLanguage(tag, new Map([...fallback, ...(texts.get(base) ?? [])]))
    // Of each spoken language every region that is asked for would otherwise be kept.
    if (languages.size < 200) languages.set(tag, made)
    return made
  }

  return {
    tags: [...texts.keys()],
    choose(wishes) {
      for (const wish of wishes) {
        const tag = canonicalTag(wish)
        const base = tag && baseOf(tag, texts)
        if (tag && base) return languageOf(base, tag)
      }
      return languageOf('en', 'en')
    },
  }
}

/** The most exact language that is spoken: `pt-BR`, else `pt`. */
function baseOf(tag: string, texts: ReadonlyMap<string, unknown>): string | undefined {
  for (let end = tag.length; end > 0; end = tag.lastIndexOf('-', end - 1)) {
    const base = tag.slice(0, end)
    if (texts.has(base)) return base
  }
  return undefined
}

function canonicalTag(wish: string): string | undefined {
  if (wish.length > 35) return undefined
  try {
    return Intl.getCanonicalLocales(wish.replaceAll('_', '-'))[0]
  } catch {
    return undefined
  }
}

function createLanguage(tag: string, texts: ReadonlyMap<string, string>): Language {
  const formats = new Map<string, IntlMessageFormat>()
  return {
    tag,
    direction: directionOf(tag),
    say(key, values) {
      const text = texts.get(key) ?? key
      if (values === undefined && !text.includes('{')) return text
      const format = formats.get(key) ?? messageOf(text, tag)
      formats.set(key, format)
      return String(format.format(values))
    },
  }
}

const messageOf = (text: string, tag: string): IntlMessageFormat =>
  new IntlMessageFormat(text, tag, undefined, { ignoreTag: true })

const rightToLeft = new Set(['ar', 'arc', 'ckb', 'dv', 'fa', 'he', 'ks', 'ps', 'sd', 'syr', 'ug', 'ur', 'yi'])

const directionOf = (tag: string): 'ltr' | 'rtl' =>
  rightToLeft.has(new Intl.Locale(tag).language) ? 'rtl' : 'ltr'

function readFolder(folder: string): [tag: string, words: Map<string, string>][] {
  return fs
    .readdirSync(folder)
    .filter(name => name.endsWith('.json'))
    .sort()
    .map(name => {
      const tag = canonicalTag(name.slice(0, -5))
      if (tag === undefined)
        throw new Error(`${name}: the name of the file is no language tag, such as fr.json`)
      return [tag, checkedWords(name, fs.readFileSync(path.join(folder, name), 'utf8'))]
    })
}

function checkedWords(file: string, text: string): Map<string, string> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const words = flatten(file, parsed)
  const known = flatten('en', english)
  for (const [key, message] of words) {
    const original = known.get(key)
    if (original === undefined) throw new Error(`${file}: there is no word ${key}`)
    const foreign = placeholders(file, key, message).filter(
      name => !placeholders('en', key, original).includes(name),
    )
    if (foreign.length > 0) throw new Error(`${file}: ${key} takes no {${foreign[0]}}`)
  }
  return words
}

function placeholders(file: string, key: string, text: string): string[] {
  try {
    return [...JSON.stringify(messageOf(text, 'en').getAst()).matchAll(/"type":[1-6],"value":"(\w+)"/g)].map(
      ([, name = '']) => name,
    )
  } catch (error) {
    throw new Error(`${file}: ${key} can’t be read: ${error instanceof Error ? error.message : error}`)
  }
}

/** `{ section: { key: text } }` as `section.key`. */
function flatten(file: string, words: unknown): Map<string, string> {
  const flat = new Map<string, string>()
  for (const [section, entries] of entriesOf(file, words)) {
    for (const [key, text] of entriesOf(`${file}: ${section}`, entries)) {
      if (typeof text !== 'string') throw new Error(`${file}: ${section}.${key} must be a text`)
      flat.set(`${section}.${key}`, text)
    }
  }
  return flat
}

function entriesOf(place: string, value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${place} must be an object`)
  return Object.entries(value)
}

/** The languages of an `Accept-Language` header (RFC 9110, 12.5.4), the most wanted first. */
export function acceptedLanguages(header: string | undefined): string[] {
  if (header === undefined || header.length > 500) return []
  return header
    .split(',')
    .map(item => {
      const [tag = '', ...parameters] = item.split(';').map(part => part.trim())
      const quality = parameters.find(parameter => parameter.startsWith('q='))
      return { tag, weight: quality === undefined ? 1 : Number(quality.slice(2)) || 0 }
    })
    .filter(({ tag, weight }) => tag !== '' && tag !== '*' && weight > 0)
    .sort((one, other) => other.weight - one.weight)
    .map(({ tag }) => tag)
}

/** A waiting time as people say it: `45 seconds`, `2 minutes`, `1 hour`; rounded up. */
export function duration(seconds: number, { tag }: Language): string {
  const [value, unit] =
    seconds < 60
      ? [Math.max(1, Math.ceil(seconds)), 'second']
      : seconds < 3600
        ? [Math.ceil(seconds / 60), 'minute']
        : [Math.ceil(seconds / 3600), 'hour']
  return new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'long' }).format(value)
}
