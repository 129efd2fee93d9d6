import type { Db, Store, Tx } from '../../../db/store.ts'
import { ProblemError } from '../../../http/problems.ts'
import { decodeCursor, encodeCursor } from '../../../lib/cursor.ts'
import { type PublicUser, toPublicUser } from '../profile/public-view.ts'
import { findPublicUsers } from '../profile/repo.ts'
import { findByKeys, type Hit, outdatedSearchRows, refreshSearchRow, walkNewest } from './repo.ts'
import { type Conditions, foldSkill, stagesOf, wordsOf } from './terms.ts'

export type SearchQuery = {
  q?: string | undefined
  skills?: readonly string[] | undefined
  location?: string | undefined
  title?: string | undefined
  limit: number
  cursor?: string | undefined
}

export type SearchPage = { items: PublicUser[]; next_cursor: string | null }

/** Users looked at one by one before the index is asked: enough where one in twenty matches. */
const walkedFirst = 400

type Place = { stage: number; before: number | undefined }

/**
 * Finds users by words of their names, skills, location and title. Those whose names begin with the words come
 * before those who have them inside, and newer users before older ones; nothing else decides the order. The
 * index holds nothing that a user hides, so neither results nor their order, number or duration depend on it.
 * @throws ProblemError validation_failed for a cursor of another search
 */
export async function searchUsers(db: Db, cursorKey: Buffer, query: SearchQuery): Promise<SearchPage> {
  const criteria = criteriaOf(query)
  const list = `users/search ${JSON.stringify(criteria ?? null)}`
  const place = placeOf(cursorKey, list, query.cursor)
  if (!criteria) return { items: [], next_cursor: null }
  const stages = stagesOf(criteria)
  const hits: (Hit & { stage: number })[] = []
  for (let stage = place.stage; stage < stages.length && hits.length <= query.limit; stage += 1) {
    const conditions = stages[stage]
    if (!conditions) break
    const before = stage === place.stage ? place.before : undefined
    const found = await findStage(db, conditions, before, query.limit + 1 - hits.length)
    hits.push(...found.map(hit => ({ ...hit, stage })))
  }
  const page = hits.slice(0, query.limit)
  const last = page.at(-1)
  return {
    items: await publicUsers(db, page),
    next_cursor:
      last && hits.length > page.length ? encodeCursor(cursorKey, list, [last.stage, last.position]) : null,
  }
}

async function findStage(
  db: Db,
  conditions: Conditions,
  from: number | undefined,
  limit: number,
): Promise<Hit[]> {
  const end = from ?? Number.MAX_SAFE_INTEGER
  const walked = await walkNewest(db, conditions, { before: end, rows: walkedFirst, limit })
  if (walked.reached === undefined || walked.hits.length >= limit) return walked.hits
  if (conditions.keys.length === 0) return walked.hits
  const older = await findByKeys(db, conditions, {
    before: walked.reached,
    limit: limit - walked.hits.length,
  })
  return [...walked.hits, ...older]
}

/** Undefined where the query asks for words and has none, e.g. `???`: that matches nobody. */
function criteriaOf({ q, skills = [], location, title }: SearchQuery) {
  const criteria = {
    words: wordsOf(q ?? ''),
    skills: [...new Set(skills.map(foldSkill))],
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

function placeOf(key: Buffer, list: string, cursor: string | undefined): Place {
  if (cursor === undefined) return { stage: 0, before: undefined }
  const [stage, before] = decodeCursor(key, list, cursor) ?? []
  if (typeof stage === 'number' && typeof before === 'number') return { stage, before }
  throw new ProblemError('validation_failed', {
    errors: [{ path: 'cursor', code: 'invalid', message: 'Is not a cursor of this search.' }],
  })
}

/** The users in the order of the hits; one who has hidden in this very moment is left out. */
async function publicUsers(db: Db, hits: readonly Hit[]): Promise<PublicUser[]> {
  const rows = new Map(
    (
      await findPublicUsers(
        db,
        hits.map(({ userId }) => userId),
      )
    ).map(row => [row.id, row]),
  )
  return hits.flatMap(({ userId }) => {
    const row = rows.get(userId)
    return row?.is_active && row.visibility !== 'private' && row.is_searchable ? [toPublicUser(row)] : []
  })
}

/** Folds rows again that an older version made; a batch at a time, each its own transaction. */
export async function refreshOutdated({ transact, db }: Store): Promise<void> {
  for (;;) {
    const ids = await outdatedSearchRows(db, 500)
    if (ids.length === 0) return
    await transact(async (trx: Tx) => {
      for (const id of ids) await refreshSearchRow(trx, id)
    })
  }
}
