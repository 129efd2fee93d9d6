import type { PublicUserRow } from './public-columns.ts'
import type { PublicProfile, PublicUser } from './schemas.ts'

export type { PublicUser } from './schemas.ts'

/** What other users see of somebody: never an address, a state or a time of activity, and nothing hidden. */
export function toPublicUser(row: PublicUserRow): PublicUser {
  return {
    id: row.id,
    username: row.username,
    full_name: row.full_name,
    avatar_url: row.avatar_url,
    current_title: row.current_title,
    location: row.hidden_fields.includes('location') ? null : row.location,
    created_at: row.created_at.toISOString(),
    profile: toPublicProfile(row),
  }
}

export function toPublicProfile(row: PublicUserRow): PublicProfile {
  const hidden = new Set(row.hidden_fields)
  const shown = <T>(field: string, value: T, empty: T): T => (hidden.has(field) ? empty : value)
  return {
    user_id: row.id,
    bio: row.bio,
    headline: row.headline,
    company: shown('company', row.company, null),
    website_url: row.website_url,
    linkedin_url: row.linkedin_url,
    github_url: row.github_url,
    skills: row.skills,
    languages: row.languages,
    years_of_experience: shown('years_of_experience', row.years_of_experience, null),
    education: shown('education', row.education, []),
    experience: shown('experience', row.experience, []),
    city: shown('city', row.city, null),
    country: shown('country', row.country, null),
    avatar_url: row.avatar_url,
    visibility: row.visibility,
  }
}
