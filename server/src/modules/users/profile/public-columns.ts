import type { LockedUser } from '../repo.ts'
import type { ProfileRow } from './repo.ts'

/** A user with their profile, as far as others may ever see them. */
export type PublicUserRow = Pick<
  LockedUser,
  'id' | 'username' | 'full_name' | 'avatar_url' | 'current_title' | 'location' | 'created_at' | 'is_active'
> &
  Omit<ProfileRow, 'user_id'>

/**
 * Its columns, of `users u left join user_profiles p`; whoever has no profile row has an empty profile. Lists come
 * as JSON, which is read ten times as fast as PostgreSQL's own form of arrays.
 */
export const publicColumns = `u.id, u.username, u.full_name, u.avatar_url, u.current_title, u.location, u.created_at,
  u.is_active, p.bio, p.headline, p.company, p.website_url, p.linkedin_url, p.github_url, p.years_of_experience,
  p.city, p.country, coalesce(array_to_json(p.skills), '[]') as skills,
  coalesce(array_to_json(p.languages), '[]') as languages,
  coalesce(p.education, '[]') as education, coalesce(p.experience, '[]') as experience,
  coalesce(p.visibility, 'members') as visibility, coalesce(p.is_searchable, true) as is_searchable,
  coalesce(array_to_json(p.hidden_fields), '[]') as hidden_fields`
