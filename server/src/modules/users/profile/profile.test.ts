import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../../testing/harness.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const profile = '/api/v1/users/me/profile'

const whole = {
  bio: 'Writes services.',
  headline: 'Building user services',
  company: 'Example GmbH',
  website_url: 'https://example.com/',
  linkedin_url: 'https://www.linkedin.com/in/ada',
  github_url: 'https://github.com/ada',
  avatar_url: 'https://example.com/ada.png',
  skills: ['TypeScript', 'PostgreSQL'],
  languages: ['German', 'English'],
  years_of_experience: 12,
  education: [{ institution: 'TU Wien', degree: 'MSc', start_year: 2005, end_year: 2010 }],
  experience: [{ title: 'Engineer', company: 'Example GmbH', start: '2010-09', end: null }],
  city: 'Vienna',
  country: 'Austria',
  timezone: 'Europe/Vienna',
  locale: 'de-AT',
  visibility: 'public',
}

async function premium(): Promise<SignedUp> {
  const user = await roster.signUp()
  await roster.post('/api/v1/users/me/upgrade', undefined, { token: user.token })
  return user
}

describe('one’s own profile', () => {
  test('begins empty, and for members', async () => {
    const { id, token } = await roster.signUp()
    const { body } = await roster.get(profile, { token })
    expect(body).toMatchObject({ user_id: id, bio: null, skills: [], education: [], visibility: 'members' })
  })

  test('is changed as a whole, with the record’s fields in both places, one audit row and one event', async () => {
    const { id, token } = await roster.signUp()
    roster.clock.advance(1000)
    const { status, body } = await roster.put(profile, whole, { token })
    expect(status).toBe(200)
    expect(body).toEqual({ user_id: id, ...whole })
    const me = (await roster.get('/api/v1/users/me', { token })).body
    expect(me).toMatchObject({
      avatar_url: whole.avatar_url,
      timezone: 'Europe/Vienna',
      locale: 'de-AT',
      updated_at: roster.clock.now().toISOString(),
      updated_by: id,
    })
    const audit = await roster.sql(
      `select changed_fields from audit_log where subject_id = $1 and action = 'user.profile_updated'`,
      [id],
    )
    expect(audit).toHaveLength(1)
    expect(audit[0].changed_fields.sort()).toEqual(Object.keys(whole).sort())
    const [event] = await roster.sql(
      `select data from events where user_id = $1 and type = 'user.profile_updated'`,
      [id],
    )
    expect(event.data.changes).toMatchObject({ yearsOfExperience: 12, avatarUrl: whole.avatar_url })
  })

  test('keeps what a change leaves out, and moves nothing where nothing changes', async () => {
    const { id, token } = await roster.signUp()
    await roster.put(profile, whole, { token })
    const { updated_at } = (await roster.get('/api/v1/users/me', { token })).body
    roster.clock.advance(60_000)
    await roster.put(profile, { bio: whole.bio, skills: whole.skills, locale: 'de-at' }, { token })
    expect((await roster.get('/api/v1/users/me', { token })).body.updated_at).toBe(updated_at)
    const changed = await roster.put(profile, { bio: null, skills: [] }, { token })
    expect(changed.body).toMatchObject({ bio: null, skills: [], city: 'Vienna' })
    const events = await roster.sql(
      `select from events where user_id = $1 and type = 'user.profile_updated'`,
      [id],
    )
    expect(events).toHaveLength(2)
  })

  test('is the same whatever order the fields of its entries have', async () => {
    const { id, token } = await roster.signUp()
    const education = [
      { institution: 'TU Wien', degree: 'MSc', field: 'Computer science', start_year: 2005, end_year: 2010 },
    ]
    const experience = [{ title: 'Engineer', company: 'Example', location: 'Vienna', start: '2010-09' }]
    await roster.put(profile, { education, experience }, { token })
    const { updated_at } = (await roster.get('/api/v1/users/me', { token })).body
    roster.clock.advance(60_000)
    await roster.put(profile, { education, experience }, { token })
    expect((await roster.get('/api/v1/users/me', { token })).body.updated_at).toBe(updated_at)
    const traces = await roster.sql(
      `select type from events where user_id::text = $1 and type = 'user.profile_updated'
       union all select action from audit_log where subject_id::text = $1 and action = 'user.profile_updated'`,
      [id],
    )
    expect(traces).toHaveLength(2)
  })

  test('tidies the texts of entries; blank ones that may be missing are null', async () => {
    const { token } = await roster.signUp()
    const sent = {
      education: [{ institution: ' TU   Wien ', degree: '  ', field: '' }],
      experience: [{ title: 'Engineer ', company: 'Example', location: ' ', description: ' One.\n\nTwo. ' }],
    }
    const { body } = await roster.put(profile, sent, { token })
    expect(body.education).toEqual([{ institution: 'TU Wien', degree: null, field: null }])
    expect(body.experience).toEqual([
      { title: 'Engineer', company: 'Example', location: null, description: 'One.\n\nTwo.' },
    ])
  })

  test('takes zero-width non-joiners in the words of lists and entries: Persian is misspelt without', async () => {
    const { token } = await roster.signUp()
    const [institution, skill] = ['دانشگاه\u200cها', 'نرم\u200cافزار']
    const sent = { education: [{ institution }], skills: [skill], languages: [skill] }
    expect(await roster.put(profile, sent, { token })).toMatchObject({ status: 200, body: sent })
    const invisible = await roster.put(profile, { skills: ['\u200c'] }, { token })
    expect(invisible.body.errors).toMatchObject([{ path: '/skills/0' }])
  })

  test('tidies lists: each word once, whatever its case', async () => {
    const { token } = await roster.signUp()
    const { body } = await roster.put(profile, { skills: [' TypeScript ', 'typescript', 'C++'] }, { token })
    expect(body.skills).toEqual(['TypeScript', 'C++'])
  })

  test.each([
    [{ avatar_url: 'javascript:alert(1)' }, '/avatar_url'],
    [{ avatar_url: 'https://user:pass@example.com/x.png' }, '/avatar_url'],
    [{ avatar_url: 'data:image/png;base64,AAAA' }, '/avatar_url'],
    [{ avatar_url: '//example.com/x.png' }, '/avatar_url'],
    [{ linkedin_url: 'https://linkedin.com.evil.example/in/x' }, '/linkedin_url'],
    [{ github_url: 'https://notgithub.com/x' }, '/github_url'],
    [{ website_url: 'ftp://example.com' }, '/website_url'],
    [{ bio: 'x'.repeat(2001) }, '/bio'],
    [{ skills: ['x'.repeat(51)] }, '/skills/0'],
    [{ skills: ['a\u0000'] }, '/skills/0'],
    [{ skills: Array(51).fill('x') }, '/skills'],
    [{ years_of_experience: -1 }, '/years_of_experience'],
    [{ visibility: 'friends' }, '/visibility'],
    [{ education: [{ institution: 'x', start_year: 2010, end_year: 2000 }] }, '/education/0/end_year'],
    [{ skills: ['Go', 'Research, Development'] }, '/skills/1'],
    [{ experience: [{ title: 'x' }] }, '/experience/0/company'],
    [{ experience: [{ title: ' ', company: 'x' }] }, '/experience/0/title'],
    [{ experience: [{ title: 'x', company: '  ' }] }, '/experience/0/company'],
    [{ education: [{ institution: '\t' }] }, '/education/0/institution'],
    [{ education: [{ institution: 'x', degree: 'a\u0007' }] }, '/education/0/degree'],
    [{ experience: [{ title: 'x', company: 'x', start: '2020-02', end: '2020-01' }] }, '/experience/0/end'],
    [{ timezone: 'Mars/Olympus' }, '/timezone'],
    [{ is_searchable: false }, '/is_searchable'],
    [{ hidden_fields: ['bio'] }, '/hidden_fields'],
    [{ user_id: 'x' }, '/user_id'],
  ])('refuses %j by name', async (body, path) => {
    const { token } = await roster.signUp()
    const reply = await roster.put(profile, body, { token })
    expect(reply.status).toBe(400)
    expect(reply.body.errors.map((error: { path: string }) => error.path)).toContain(path)
  })
})

describe('what others see', () => {
  test('is nothing for those without premium, whether the id exists or not', async () => {
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    const nobody = '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'
    for (const part of ['', '/profile', '/preferences']) {
      const [there, not] = [
        await roster.get(`/api/v1/users/${other.id}${part}`, { token: user.token }),
        await roster.get(`/api/v1/users/${nobody}${part}`, { token: user.token }),
      ]
      expect(there.status).toBe(403)
      expect(there.body.code).toBe('premium_required')
      expect({ ...not.body, request_id: '', instance: '' }).toEqual({
        ...there.body,
        request_id: '',
        instance: '',
      })
      expect((await roster.get(`/api/v1/users/${user.id}${part}`, { token: user.token })).status).toBe(200)
    }
    expect((await roster.get('/api/v1/users/search', { token: user.token })).body.code).toBe(
      'premium_required',
    )
  })

  test('is the public view for premium users, and the whole record with users:read', async () => {
    const [viewer, shown] = [await premium(), await roster.signUp({ full_name: 'Ada Example' })]
    await roster.put(profile, whole, { token: shown.token })
    const { body } = await roster.get(`/api/v1/users/${shown.id}`, { token: viewer.token })
    expect(Object.keys(body).sort()).toEqual(
      [
        'avatar_url',
        'created_at',
        'current_title',
        'full_name',
        'id',
        'location',
        'profile',
        'username',
      ].sort(),
    )
    expect(JSON.stringify(body)).not.toContain(shown.email)
    expect(body.profile).toMatchObject({
      headline: whole.headline,
      skills: whole.skills,
      visibility: 'public',
    })
    expect(body.profile).not.toHaveProperty('timezone')
    expect((await roster.get(`/api/v1/users/${shown.id}/profile`, { token: viewer.token })).body).toEqual(
      body.profile,
    )
    const full = await roster.get(`/api/v1/users/${shown.id}`, { token: admin.token })
    expect(full.body).toMatchObject({ email: shown.email, is_active: true })
    expect(
      (await roster.get(`/api/v1/users/${shown.id}/profile`, { token: admin.token })).body,
    ).toMatchObject({
      timezone: 'Europe/Vienna',
    })
  })

  test('ends where a profile is private or its user inactive: then it is not there', async () => {
    const [viewer, hidden, gone] = [await premium(), await roster.signUp(), await roster.signUp()]
    await roster.put(profile, { visibility: 'private' }, { token: hidden.token })
    await roster.delete('/api/v1/users/me', { token: gone.token })
    for (const { id } of [hidden, gone]) {
      for (const part of ['', '/profile', '/preferences']) {
        expect((await roster.get(`/api/v1/users/${id}${part}`, { token: viewer.token })).status).toBe(404)
      }
    }
    expect((await roster.get(`/api/v1/users/${hidden.id}/profile`, { token: admin.token })).status).toBe(200)
  })

  test('leaves out what the privacy settings hide', async () => {
    const [viewer, shown] = [await premium(), await roster.signUp()]
    await roster.put(profile, whole, { token: shown.token })
    await roster.put('/api/v1/users/me', { location: 'Vienna, Austria' }, { token: shown.token })
    const settings = { 'privacy.show_location': false, 'privacy.show_experience': false }
    await roster.put('/api/v1/users/me/settings', settings, { token: shown.token })
    const { body } = await roster.get(`/api/v1/users/${shown.id}`, { token: viewer.token })
    expect(body.location).toBeNull()
    expect(body.profile).toMatchObject({
      city: null,
      country: null,
      company: null,
      experience: [],
      education: [],
      years_of_experience: null,
      skills: whole.skills,
    })
    await roster.put('/api/v1/users/me/settings', { 'privacy.show_location': null }, { token: shown.token })
    const again = await roster.get(`/api/v1/users/${shown.id}`, { token: viewer.token })
    expect(again.body.location).toBe('Vienna, Austria')
  })
})
