import { type Static, Type } from 'typebox'
import { NextCursor, nullable } from '../../../http/schemas.ts'

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

const contentExample = {
  bio: 'Wrote the first program, before there was a machine to run it.',
  headline: 'Analyst of engines',
  company: null,
  website_url: 'https://ada.example.com',
  linkedin_url: null,
  github_url: null,
  skills: ['mathematics', 'programming'],
  languages: ['English', 'French'],
  years_of_experience: 12,
  education: [],
  experience: [{ title: 'Translator', company: 'Scientific Memoirs', start: '1942-10', end: '1943-08' }],
  city: 'London',
  country: 'United Kingdom',
}

const publicProfileExample = {
  user_id: '019c1379-3f00-7000-8000-000000000000',
  ...contentExample,
  avatar_url: null,
  visibility: 'members',
}

const publicUserExample = {
  id: '019c1379-3f00-7000-8000-000000000000',
  username: 'ada',
  full_name: 'Ada Lovelace',
  avatar_url: null,
  current_title: 'Analyst',
  location: 'London',
  created_at: '2026-01-31T10:00:00.000Z',
  profile: publicProfileExample,
}

export const ProfileSchema = Type.Object(
  { user_id: Type.String({ format: 'uuid' }), ...content, ...shared, visibility: Visibility },
  {
    $id: 'Profile',
    examples: [{ ...publicProfileExample, timezone: 'Europe/London', locale: 'en-GB' }],
    additionalProperties: false,
    description: 'The whole profile, as its owner sees it.',
  },
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
    examples: [publicProfileExample],
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
  {
    $id: 'PublicUser',
    examples: [publicUserExample],
    additionalProperties: false,
    description: 'What other users see of somebody.',
  },
)

export type PublicUser = Static<typeof PublicUserSchema>

export const SearchPageSchema = Type.Object(
  {
    items: Type.Array(Type.Unsafe<PublicUser>({ $ref: 'PublicUser#' })),
    next_cursor: NextCursor,
  },
  {
    $id: 'UserSearchPage',
    description: 'A page of the users that a search found.',
    examples: [{ items: [publicUserExample], next_cursor: null }],
    additionalProperties: false,
  },
)
