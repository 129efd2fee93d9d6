import { expect, test } from 'vitest'
import { apiDocument } from './http/openapi.ts'
import { createCompiler } from './http/validation.ts'
import { useTestApp } from './testing/harness.ts'

type Schema = { $ref?: string; anyOf?: Schema[]; examples?: unknown[] }
type Media = { schema: Schema; example?: unknown }
type Content = Record<string, Media>
type Parameter = { name: string; required?: boolean; description?: string; schema: { default?: unknown } }
type Operation = {
  tags: string[]
  security?: unknown[]
  parameters?: Parameter[]
  requestBody?: { content: Content }
  responses: Record<string, { description: string; content?: Content }>
}

const roster = await useTestApp()
// The plugin's types allow references in places where it makes none.
const { paths, components } = apiDocument(roster.app) as unknown as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    ...operation,
  })),
)
const parameters = operations.flatMap(({ name, parameters: its = [] }) =>
  its.map(parameter => ({ ...parameter, name: `${name}: ${parameter.name}` })),
)
const replies = operations.flatMap(({ name, responses }) =>
  Object.entries(responses).map(([status, reply]) => ({ name: `${name}: ${status}`, ...reply })),
)

const nameOf = ({ $ref }: Schema): string => $ref?.split('/').at(-1) ?? ''

const hasExample = (schema: Schema): boolean =>
  [schema, components.schemas[nameOf(schema)]].some(one => one?.examples?.length) ||
  (schema.anyOf ?? []).some(hasExample)

const named = (things: { name: string }[]): string[] => things.map(({ name }) => name)

test('every reply and every parameter is described', () => {
  expect(named(replies.filter(({ description }) => description === 'Default Response'))).toEqual([])
  expect(named(parameters.filter(({ description }) => description === undefined))).toEqual([])
})

test('every operation says what it takes to be called, nothing included', () => {
  expect(named(operations.filter(({ security }) => security === undefined))).toEqual([])
})

test('no parameter is demanded that has a default', () => {
  expect(named(parameters.filter(one => one.required && one.schema.default !== undefined))).toEqual([])
})

test('every body that a route takes, and every named one that it answers with, has an example', () => {
  const lacks = ({ content = {} }: { content?: Content }) =>
    Object.values(content).some(({ schema, example }) => example === undefined && !hasExample(schema))
  expect(named(operations.filter(({ requestBody }) => requestBody && lacks(requestBody)))).toEqual([])
  const answers = replies.map(({ name, content = {} }) => ({
    name,
    content: Object.fromEntries(Object.entries(content).filter(([, { schema }]) => schema.$ref)),
  }))
  expect(named(answers.filter(lacks))).toEqual([])
})

test('every example is one', () => {
  const compile = createCompiler([{ $id: 'document', components }])
  for (const [name, { examples = [] }] of Object.entries(components.schemas)) {
    const check = compile({ $ref: `document#/components/schemas/${name}` })
    for (const example of examples) {
      expect([name, check(structuredClone(example)), check.errors]).toEqual([name, true, null])
    }
  }
})

test('the routes that give or end tokens take the header of browser mode', () => {
  const taking = operations.filter(({ parameters: its = [] }) =>
    its.some(({ name }) => name === 'X-Roster-Client'),
  )
  expect(named(taking).sort()).toEqual([
    'POST /api/v1/auth/login',
    'POST /api/v1/auth/logout',
    'POST /api/v1/auth/mfa/verify',
    'POST /api/v1/auth/passkeys/login/verify',
    'POST /api/v1/auth/refresh',
    'POST /api/v1/auth/step-up',
  ])
})

test('every group of routes is described, and they come in the order in which people need them', () => {
  const described = apiDocument(roster.app).tags ?? []
  const used = new Set(operations.flatMap(({ tags }) => tags))
  expect(described.map(({ name }) => name).sort()).toEqual([...used].sort())
  for (const { name, description = '' } of described) expect(description.length, name).toBeGreaterThan(20)
  const place = (name: string) => described.findIndex(tag => tag.name === name)
  const wanted = ['auth', 'sessions', 'users', 'mfa', 'administration', 'audit', 'webhooks', 'system']
  expect([...wanted].sort((a, b) => place(a) - place(b))).toEqual(wanted)
})
