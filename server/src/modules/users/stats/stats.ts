import type { Db } from '../../../db/store.ts'
import { ProblemError } from '../../../http/problems.ts'
import { findProfile, type ProfileRow } from '../profile/repo.ts'
import { findUser, type UserRow } from '../repo.ts'
import { countLogins } from './repo.ts'

/** What the users module knows for the statistics of one's own account. */
export type OwnStats = {
  profile_completeness: { percent: number; missing: string[] }
  account_age_days: number
  logins: number
  last_login_at: string | null
  last_activity_at: string | null
}

/** @throws ProblemError not_found */
export async function readOwnStats(db: Db, userId: string, now: Date): Promise<OwnStats> {
  const [user, profile, logins] = await Promise.all([
    findUser(db, userId),
    findProfile(db, userId),
    countLogins(db, userId),
  ])
  if (!user) throw new ProblemError('not_found')
  return {
    profile_completeness: completenessOf(user, profile),
    account_age_days: Math.floor((now.getTime() - user.created_at.getTime()) / 86_400_000),
    logins,
    last_login_at: user.last_login_at?.toISOString() ?? null,
    last_activity_at: user.last_activity_at?.toISOString() ?? null,
  }
}

/** What makes a profile complete; each counts the same. */
function completenessOf(user: UserRow, profile: ProfileRow): OwnStats['profile_completeness'] {
  const parts: Readonly<Record<string, unknown>> = {
    full_name: user.full_name,
    email_verified: user.email_verified_at,
    avatar_url: user.avatar_url,
    current_title: user.current_title,
    location: user.location ?? profile.city,
    headline: profile.headline,
    bio: profile.bio,
    skills: profile.skills.length > 0,
    languages: profile.languages.length > 0,
    experience: profile.experience.length > 0,
    education: profile.education.length > 0,
    links: profile.website_url ?? profile.linkedin_url ?? profile.github_url,
  }
  const missing = Object.keys(parts).filter(part => !parts[part])
  const total = Object.keys(parts).length
  return { percent: Math.round(((total - missing.length) / total) * 100), missing }
}
