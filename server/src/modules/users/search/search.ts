import type { Pool } from 'pg'
import type { Store } from '../../../db/store.ts'
import { pageOf, readCursor } from '../../../http/paging.ts'
import { ProblemError } from '../../../http/problems.ts'
import { noteProgress } from '../../../lib/progress.ts'
import { type PublicUser, toPublicUser } from '../profile/public-view.ts'
import { findPage, type Hit, lockOutdated, refreshSearchRow } from './repo.ts'
import { foldSkill, searchForm, stagesOf, wordsOf } from './terms.ts'

export type SearchQuery = {
  q?: string | undefined
  skills?: readonly string[] | undefined
  location?: string | undefined
  title?: string | undefined
  limit: number
  cursor?: string | undefined
}

export type SearchPage = { items: PublicUser[]; next_cursor: string | null }

/**
 * Finds users by words of their names, skills, location and title. Those whose names begin with the words come
 * before those who have them inside, and newer users before older ones; nothing else decides the order. The
 * index holds nothing that a user hides, so neither results nor their order, number or duration depend on it.
 * @throws ProblemError validation_failed for a cursor of another search, too many words, and a list of no skills
 */
export async function searchUsers(pool: Pool, cursorKey: Buffer, query: SearchQuery): Promise<SearchPage> {
  const criteria = criteriaOf(query)
  const list = { key: cursorKey, name: `users/search ${JSON.stringify(criteria ?? null)}` }
  const [first = 0, place] = readCursor(list, query.cursor, ['number', 'number']) ?? []
  if (!criteria) return { items: [], next_cursor: null }
  const stages = stagesOf(criteria)
  const hits: (Hit & { stage: number })[] = []
  for (let stage = first; stage < stages.length && hits.length <= query.limit; stage += 1) {
    const conditions = stages[stage]
    if (!conditions) break
    const before = (stage === first ? place : undefined) ?? Number.MAX_SAFE_INTEGER
    const found = await findPage(pool, conditions, { before, limit: query.limit + 1 - hits.length })
    hits.push(...found.map(hit => ({ ...hit, stage })))
  }
  const { items, next_cursor } = pageOf(list, hits, query.limit, ({ stage, position }) => [stage, position])
  return { items: items.map(({ user }) => toPublicUser(user)), next_cursor }
}

/** Undefined where the query asks for words and has none, e.g. `???`: that matches nobody. */
function criteriaOf({ q, skills, location, title }: SearchQuery) {
  if (skills?.length === 0) throw noSkill()
  const criteria = {
    words: wordsOf(q ?? ''),
    skills: [...new Set((skills ?? []).map(foldSkill))],
    location: wordsOf(location ?? ''),
    title: wordsOf(title ?? ''),
  }
  const isLost = (text: string | undefined, words: string[]) => Boolean(text?.trim()) && words.length === 0
  const lost =
    isLost(q, criteria.words) || isLost(location, criteria.location) || isLost(title, criteria.title)
  if (lost) return undefined
  for (const [name, words] of Object.entries(criteria)) {
    if (words.length > maxTerms) throw tooMany(name === 'words' ? 'q' : name)
  }
  return criteria
}

const maxTerms = 10

const tooMany = (path: string): ProblemError =>
  new ProblemError('validation_failed', {
    errors: [{ path, code: 'too_many', message: `Must have at most ${maxTerms} words.` }],
  })

const noSkill = (): ProblemError =>
  new ProblemError('validation_failed', {
    errors: [{ path: 'skills', code: 'too_few', message: 'Must have at least 1 skill.' }],
  })

/**
 * Folds rows again that an older version made; a batch at a time, each its own transaction. Users who are just
 * being changed are left to that change, or to the next run.
 */
export async function refreshOutdated({ transact }: Store): Promise<void> {
  const refreshSome = () =>
    transact(async trx => {
      const ids = await lockOutdated(trx, searchForm, 100)
      for (const id of ids) await refreshSearchRow(trx, id)
      return ids.length
    })
  while ((await refreshSome()) > 0) noteProgress()
}
