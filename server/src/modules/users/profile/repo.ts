import { type Selectable, sql, type Updateable } from 'kysely'
import type { Db, Tx } from '../../../db/store.ts'
import type { UserProfilesTable, UsersTable } from '../../../db/tables.ts'
import { refreshSearchRow } from '../search/repo.ts'
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

export type PublicUserRow = Pick<
  Selectable<UsersTable>,
  'id' | 'username' | 'full_name' | 'avatar_url' | 'current_title' | 'location' | 'created_at' | 'is_active'
> &
  Omit<ProfileRow, 'user_id'>

/** Users with their profiles, as far as others may ever see them. */
export async function findPublicUsers(db: Db, ids: readonly string[]): Promise<PublicUserRow[]> {
  const { rows } = await sql<PublicUserRow>`
    select u.id, u.username, u.full_name, u.avatar_url, u.current_title, u.location, u.created_at, u.is_active,
      p.bio, p.headline, p.company, p.website_url, p.linkedin_url, p.github_url, p.years_of_experience,
      p.city, p.country, coalesce(p.skills, '{}') as skills, coalesce(p.languages, '{}') as languages,
      coalesce(p.education, '[]') as education, coalesce(p.experience, '[]') as experience,
      coalesce(p.visibility, 'members') as visibility, coalesce(p.is_searchable, true) as is_searchable,
      coalesce(p.hidden_fields, '{}') as hidden_fields
    from users u left join user_profiles p on p.user_id = u.id
    where u.id = any(${ids}::uuid[])`.execute(db)
  return rows
}
