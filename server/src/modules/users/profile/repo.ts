import { type Selectable, sql, type Updateable } from 'kysely'
import type { Db, Tx } from '../../../db/store.ts'
import type { UserProfilesTable } from '../../../db/tables.ts'
import { refreshSearchRow } from '../search/repo.ts'
import { type PublicUserRow, publicColumns } from './public-columns.ts'
import type { Education, Experience } from './schemas.ts'

/** A profile row; only this module writes it, and it checks the lists' shapes before. */
export type ProfileRow = Omit<Selectable<UserProfilesTable>, 'education' | 'experience'> & {
  education: Education[]
  experience: Experience[]
}

/** What a user has who has written nothing yet. */
const emptyProfile = {
  bio: null,
  headline: null,
  company: null,
  website_url: null,
  linkedin_url: null,
  github_url: null,
  skills: [],
  languages: [],
  years_of_experience: null,
  education: [],
  experience: [],
  city: null,
  country: null,
  visibility: 'members',
  is_searchable: true,
  hidden_fields: [],
} as const

export async function findProfile(db: Db, userId: string): Promise<ProfileRow> {
  const row = await db
    .selectFrom('user_profiles')
    .selectAll()
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return (row ?? { user_id: userId, ...structuredClone(emptyProfile) }) as unknown as ProfileRow
}

/** Changes a profile, which begins with its first change, and what search knows of it. Lock the user before. */
export async function putProfile(
  trx: Tx,
  userId: string,
  changes: Omit<Updateable<UserProfilesTable>, 'user_id'>,
): Promise<void> {
  await trx
    .insertInto('user_profiles')
    .values({ user_id: userId, ...changes })
    .onConflict(conflict => conflict.column('user_id').doUpdateSet(changes))
    .execute()
  await refreshSearchRow(trx, userId)
}

/** Users with their profiles, as far as others may ever see them. */
export async function findPublicUsers(db: Db, ids: readonly string[]): Promise<PublicUserRow[]> {
  const { rows } = await sql<PublicUserRow>`
    select ${sql.raw(publicColumns)}
    from users u left join user_profiles p on p.user_id = u.id
    where u.id = any(${ids}::uuid[])`.execute(db)
  return rows
}
