import { type Static, Type } from 'typebox'
import { nullable } from '../../../http/schemas.ts'

const text = (longest: number, description?: string) =>
  Type.String({ maxLength: longest * 2, description: description ?? `At most ${longest} characters` })
const year = Type.Integer({ minimum: 1900, maximum: 2100 })
const month = Type.String({ pattern: '^\\d{4}-(0[1-9]|1[0-2])$', description: 'A month such as 2026-01' })
const url = (description: string) => Type.String({ maxLength: 2048, description })

const EducationSchema = Type.Object(
  {
    institution: Type.String({ minLength: 1, maxLength: 200 }),
    degree: Type.Optional(nullable(Type.String({ maxLength: 200 }))),
    field: Type.Optional(nullable(Type.String({ maxLength: 200 }))),
    start_year: Type.Optional(nullable(year)),
    end_year: Type.Optional(nullable(year)),
  },
  { additionalProperties: false },
)

const ExperienceSchema = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 200 }),
    company: Type.String({ minLength: 1, maxLength: 200 }),
    location: Type.Optional(nullable(Type.String({ maxLength: 200 }))),
    start: Type.Optional(nullable(month)),
    end: Type.Optional(nullable(month)),
    description: Type.Optional(nullable(Type.String({ maxLength: 2000 }))),
  },
  { additionalProperties: false },
)

const Visibility = Type.Unsafe<'public' | 'members' | 'private'>({
  type: 'string',
  enum: ['public', 'members', 'private'],
  description:
    '`private`: no other user sees the profile or finds it. `members`: users who may see others do. `public`: ' +
    'the same here, and other services may show it to anyone',
})

const strings = (most: number, longest: number, description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: longest * 2 }), { maxItems: most, description })

/** What a profile says of somebody, beside the record. */
const content = {
  bio: nullable(text(2000)),
  headline: nullable(text(200)),
  company: nullable(text(150)),
  website_url: nullable(url('http or https')),
  linkedin_url: nullable(url('An address at linkedin.com')),
  github_url: nullable(url('An address at github.com')),
  skills: strings(50, 50, 'Each at most 50 characters, without commas'),
  languages: strings(20, 50, 'Each at most 50 characters'),
  years_of_experience: nullable(Type.Integer({ minimum: 0, maximum: 80 })),
  education: Type.Array(EducationSchema, { maxItems: 30 }),
  experience: Type.Array(ExperienceSchema, { maxItems: 30 }),
  city: nullable(text(100)),
  country: nullable(text(100)),
}

/** Fields that the record has as well; they are the same value. */
const shared = {
  avatar_url: nullable(url('http or https')),
  timezone: nullable(Type.String({ maxLength: 64, description: 'IANA, e.g. `Europe/Vienna`' })),
  locale: nullable(Type.String({ maxLength: 35, description: 'BCP 47, e.g. `de-AT`' })),
}

export const ProfileSchema = Type.Object(
  { user_id: Type.String({ format: 'uuid' }), ...content, ...shared, visibility: Visibility },
  { $id: 'Profile', additionalProperties: false, description: 'The whole profile, as its owner sees it.' },
)

export type Profile = Static<typeof ProfileSchema>
export type Education = Static<typeof EducationSchema>
export type Experience = Static<typeof ExperienceSchema>

export const ProfileUpdateSchema = Type.Object(
  Type.Partial(Type.Object({ ...content, ...shared, visibility: Visibility })).properties,
  {
    $id: 'ProfileUpdate',
    additionalProperties: false,
    description: 'Any of the fields; those left out stay as they are, null or an empty list empties one.',
    examples: [
      {
        headline: 'Building user services',
        skills: ['TypeScript', 'PostgreSQL'],
        city: 'Vienna',
        country: 'Austria',
        visibility: 'members',
      },
    ],
  },
)

export type ProfileUpdate = Static<typeof ProfileUpdateSchema>

export const PublicProfileSchema = Type.Object(
  {
    user_id: Type.String({ format: 'uuid' }),
    ...content,
    avatar_url: shared.avatar_url,
    visibility: Visibility,
  },
  {
    $id: 'PublicProfile',
    additionalProperties: false,
    description: 'What others see of a profile. Fields that the owner hides are empty.',
  },
)

export type PublicProfile = Static<typeof PublicProfileSchema>

export const PublicUserSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    username: Type.String(),
    full_name: nullable(Type.String()),
    avatar_url: nullable(Type.String()),
    current_title: nullable(Type.String()),
    location: nullable(Type.String()),
    created_at: Type.String({ format: 'date-time' }),
    profile: Type.Unsafe<PublicProfile>({ $ref: 'PublicProfile#' }),
  },
  { $id: 'PublicUser', additionalProperties: false, description: 'What other users see of somebody.' },
)

export type PublicUser = Static<typeof PublicUserSchema>

export const SearchPageSchema = Type.Object(
  {
    items: Type.Array(Type.Unsafe<PublicUser>({ $ref: 'PublicUser#' })),
    next_cursor: nullable(Type.String({ description: 'Where the next page begins; null on the last' })),
  },
  { $id: 'UserSearchPage', additionalProperties: false },
)
