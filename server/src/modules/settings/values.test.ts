import { expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const settings = '/api/v1/users/me/settings'

test('a user reads every setting with its default, and none has been changed', async () => {
  const { token } = await roster.signUp()
  const { status, body, headers } = await roster.get(settings, { token })
  expect(status).toBe(200)
  expect(body).toMatchObject({
    version: 0,
    updated_at: null,
    values: { 'ui.theme': 'auto', 'privacy.searchable': true },
  })
  expect(headers.etag).toBe('"0"')
})
