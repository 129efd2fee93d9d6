import { expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { apiDocument } from './http/openapi.ts'
import { useTestApp } from './testing/harness.ts'

const roster = await useTestApp()

test('every schema of every route compiles, and the OpenAPI document names them all', async () => {
  const app = await buildApp({
    ...roster.resources,
    services: roster.services,
    phase: () => 'ready',
    eagerSchemas: true,
  })
  await app.ready()
  const { paths = {} } = apiDocument(app)
  expect(Object.keys(paths)).toContain('/api/v1/auth/login')
  expect(Object.keys(paths).length).toBeGreaterThan(20)
  await app.close()
})
