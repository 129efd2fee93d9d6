import { tidyName } from '../../../lib/text.ts'

/*
 * The form in which search compares text, and the keys under which the index holds it: what the SQL function
 * user_search_keys() makes of a row, this makes of a query.
 */

/**
 * The texts of a row are in this form. A change of it raises the number, here and, by a migration, in the index
 * user_search__outdated; a job then folds all rows again.
 */
export const searchForm = 2

const special: Readonly<Record<string, string>> = {
  ß: 'ss',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  æ: 'ae',
  œ: 'oe',
  ı: 'i',
  // Lower case makes it of a Σ at a word's end: of the beginning of a word as of the whole of another.
  ς: 'σ',
}

/** Without case, accents and compatibility forms: `Müller`, `MULLER` and `ｍｕｌｌｅｒ` are one. */
const foldText = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[ßøłđæœıς]/gu, letter => special[letter] ?? letter)

/** The words of a text: runs of letters and digits of any script, folded. */
export const wordsOf = (text: string): string[] => foldText(text).match(/[\p{L}\p{N}]+/gu) ?? []

/** Words as a row keeps them: each once, a space before it, so that ` ann` finds where a word begins. */
export const joinWords = (...texts: (string | null)[]): string =>
  [...new Set(texts.flatMap(text => (text === null ? [] : wordsOf(text))))].map(word => ` ${word}`).join('')

/** A skill is one term, punctuation and all: `C++` and `c` differ. */
export const foldSkill = (skill: string): string => tidyName(foldText(skill))

/** How a row must look to be found, beside its keys, which are coarser. All patterns of a field must match. */
export type Conditions = {
  keys: string[]
  names: string[]
  /** At least one of these must not match; empty: no such condition. */
  notAllNames: string[]
  title: string[]
  location: string[]
  skills: string[]
}

export type Criteria = { words: string[]; title: string[]; location: string[]; skills: string[] }

/** Letters of a word's beginning that are a key; more are compared in the row itself. */
const longestStart = 8

const start = (letter: string, word: string): string =>
  `:${letter}:${[...word].slice(0, longestStart).join('')}`

function filters({ title, location, skills }: Criteria): Conditions {
  return {
    keys: [
      ...title.map(word => start('t', word)),
      ...location.map(word => start('l', word)),
      ...skills.map(skill => `:s:${skill}`),
    ],
    names: [],
    notAllNames: [],
    title: title.map(beginning),
    location: location.map(beginning),
    skills,
  }
}

/**
 * The stages of a search, best matches first; each finds what those before it did not. Undefined words: the
 * filters alone.
 */
export function stagesOf(criteria: Criteria): Conditions[] {
  const { words } = criteria
  const base = filters(criteria)
  if (words.length === 0) return [base]
  const beginnings = words.map(beginning)
  return [
    { ...base, keys: [...words.map(word => start('n', word)), ...base.keys], names: beginnings },
    {
      ...base,
      keys: [...words.flatMap(insideKeys), ...base.keys],
      names: words.map(word => ([...word].length === 1 ? beginning(word) : `%${word}%`)),
      notAllNames: beginnings,
    },
  ]
}

/** Words are letters and digits alone, so nothing in them means anything to LIKE. */
const beginning = (word: string): string => `% ${word}%`

/** A single letter matches where a word begins; inside of one it would find everybody. */
function insideKeys(word: string): string[] {
  const letters = [...word]
  if (letters.length === 1) return [start('n', word)]
  if (letters.length === 2) return [`:i:${word}`]
  const last = letters.length - 3
  const places = new Set([0, Math.floor(last / 2), last])
  return [...places].map(at => `:i:${letters.slice(at, at + 3).join('')}`)
}
