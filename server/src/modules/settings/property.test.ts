import { Ajv } from 'ajv'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FieldError } from '../../http/problem-schema.ts'
import type { Json } from '../../lib/json.ts'
import { useTestApp } from '../../testing/harness.ts'
import { checkDefinition } from './check-definition.ts'
import { maxSteps } from './findings.ts'
import { checkPattern, compilePattern } from './patterns.ts'
import type { ScopeView } from './registry.ts'
import { compileRules } from './rules.ts'
import type { Definition, ValidationRules } from './schemas.ts'
import type { SettingType } from './setting-types.ts'
import { shippedDefinitions } from './shipped.ts'
import { checkChanges } from './validate.ts'

/*
 * An independent opinion: the same rules as JSON Schema, checked by Ajv. Types that JSON Schema has no word for are
 * represented by what it has.
 */
const ajv = new Ajv({ strict: false, unicodeRegExp: true })
const baseSchemas: Partial<Record<SettingType, object>> = {
  string: { type: 'string', pattern: '^[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]*$' },
  text: { type: 'string' },
  integer: { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  number: { type: 'number' },
  boolean: { type: 'boolean' },
  enum: { type: 'string' },
  multi_enum: { type: 'array', uniqueItems: true, items: { type: 'string' } },
  list: { type: 'array' },
  object: { type: 'object' },
  color: { type: 'string', pattern: '^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$' },
}

/** One schema for each rule, so that each can be asked alone. */
const ruleSchemas: { [Name in keyof ValidationRules]: (wanted: never, isList: boolean) => object } = {
  allowed_values: (wanted: Json[], isList) => (isList ? { items: { enum: wanted } } : { enum: wanted }),
  min: (wanted: number) => ({ minimum: wanted }),
  max: (wanted: number) => ({ maximum: wanted }),
  min_length: (wanted: number) => ({ minLength: wanted }),
  max_length: (wanted: number) => ({ maxLength: wanted }),
  pattern: (wanted: string) => ({ pattern: wanted }),
  min_items: (wanted: number) => ({ minItems: wanted }),
  max_items: (wanted: number) => ({ maxItems: wanted }),
  unique_items: (wanted: boolean) => ({ uniqueItems: wanted }),
  schema: (wanted: object) => wanted,
}

function schemaOf(type: SettingType, rule: string, rules: ValidationRules): object {
  if (rule === 'setting_type') return baseSchemas[type] ?? {}
  const name = rule as keyof ValidationRules
  const wanted = rules[name] ?? (name === 'max_length' ? 20_000 : 1000)
  return ruleSchemas[name]?.(wanted as never, type === 'list' || type === 'multi_enum') ?? {}
}

const agrees = (schema: object, value: Json): boolean => ajv.validate(schema, value) as boolean

const sortedPair = (arbitrary: fc.Arbitrary<number>) =>
  fc.tuple(arbitrary, arbitrary).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)

const patterns = fc.constantFrom('^a', 'b$', '[0-9]+', '^(a|b)*$', '^.{2,4}$', 'é', '^$', '\\w', '^(a+)+$')
const jsonSchema = fc.constantFrom<Record<string, Json>>(
  { items: { type: 'string', minLength: 1 } },
  { items: { type: 'integer', minimum: 0, maximum: 9 }, minItems: 1 },
  { type: 'array', uniqueItems: true, maxItems: 3 },
  {
    type: 'object',
    required: ['a'],
    additionalProperties: false,
    properties: {
      a: { type: 'string', maxLength: 3 },
      b: { enum: [1, null, 'x'] },
      c: { items: { const: {} } },
    },
  },
  { properties: { a: { type: ['number'] as unknown as string } } },
)

const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('', 'a', 'ab', 'aaab', 'é', '💥', 'x\ny', '#1f6feb', '#FFF', '2026-01-31'),
  fc.integer({ min: -20, max: 20 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
)
const anyValue: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: scalar },
  fc.array(scalar, { maxLength: 5 }),
  fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 5 }),
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.oneof(scalar, fc.array(fc.constant({}))), {
    maxKeys: 3,
  }),
) as fc.Arbitrary<Json>

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const lengths = optional(sortedPair(fc.integer({ min: 0, max: 8 })))
const compact = (rules: Record<string, unknown>): ValidationRules =>
  JSON.parse(JSON.stringify(rules)) as ValidationRules

const textRules = fc
  .record({
    range: lengths,
    pattern: optional(patterns),
    allowed: optional(fc.uniqueArray(fc.constantFrom('a', 'ab', 'é', 'aaab'), { minLength: 1 })),
  })
  .map(({ range, pattern, allowed }) =>
    compact({ min_length: range?.[0], max_length: range?.[1], pattern, allowed_values: allowed }),
  )
const numberRules = optional(sortedPair(fc.integer({ min: -20, max: 20 }))).map(range =>
  compact({ min: range?.[0], max: range?.[1] }),
)
const words = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'aaab'), { minLength: 1 })
const sizes = optional(sortedPair(fc.integer({ min: 0, max: 4 })))

const ruleSets: fc.Arbitrary<[SettingType, ValidationRules]> = fc.oneof(
  fc.tuple(fc.constantFrom<SettingType>('string', 'text'), textRules),
  fc.tuple(fc.constantFrom<SettingType>('integer', 'number'), numberRules),
  fc.tuple(fc.constantFrom<SettingType>('boolean', 'color'), fc.constant({})),
  fc.tuple(
    fc.constant<SettingType>('enum'),
    words.map(allowed_values => ({ allowed_values })),
  ),
  fc.tuple(
    fc.constant<SettingType>('multi_enum'),
    fc
      .tuple(words, sizes)
      .map(([allowed_values, range]) =>
        compact({ allowed_values, min_items: range?.[0], max_items: range?.[1] }),
      ),
  ),
  fc.tuple(
    fc.constant<SettingType>('list'),
    fc
      .tuple(sizes, optional(fc.boolean()), optional(jsonSchema))
      .map(([range, unique_items, schema]) =>
        compact({ min_items: range?.[0], max_items: range?.[1], unique_items, schema }),
      ),
  ),
  fc.tuple(
    fc.constant<SettingType>('object'),
    optional(jsonSchema).map(schema => compact({ schema })),
  ),
) as fc.Arbitrary<[SettingType, ValidationRules]>

const definitionWith = (setting_type: SettingType, validation_rules: ValidationRules): Definition => ({
  key: 'a.b',
  scope: 'setting',
  category: 'a',
  setting_type,
  description: 'x',
  default_value: null,
  validation_rules,
  cross_rules: [],
  is_public: false,
  is_readonly: false,
  sort_order: 0,
  deprecated: false,
  version: 1,
})

/** Definitions that the service would take. */
function taken(type: SettingType, rules: ValidationRules): boolean {
  try {
    checkDefinition(definitionWith(type, rules), new Map())
    return true
  } catch {
    return false
  }
}

describe('for any definition that is taken, and any value', () => {
  test('what is accepted satisfies every rule in the eyes of an independent check', () => {
    let accepted = 0
    fc.assert(
      fc.property(ruleSets, anyValue, ([type, rules], value) => {
        fc.pre(taken(type, rules))
        if (compileRules(type, rules)(value)) return
        accepted += 1
        for (const rule of ['setting_type', ...Object.keys(rules)]) {
          expect(agrees(schemaOf(type, rule, rules), value), `${rule} of ${JSON.stringify(rules)}`).toBe(true)
        }
      }),
      { numRuns: 9000 },
    )
    expect(accepted).toBeGreaterThan(300)
  })

  test('what is refused names a rule that is really broken', () => {
    let refused = 0
    fc.assert(
      fc.property(ruleSets, anyValue, ([type, rules], value) => {
        fc.pre(taken(type, rules))
        const found = compileRules(type, rules)(value)
        if (!found) return
        refused += 1
        expect(agrees(schemaOf(type, found.rule, rules), value), JSON.stringify({ type, rules, found })).toBe(
          false,
        )
      }),
      { numRuns: 9000 },
    )
    expect(refused).toBeGreaterThan(300)
  })
})

test('every shipped definition makes sense, beside the others', () => {
  const all = shippedDefinitions().map(definition => ({ ...definition, version: 1 }))
  const others = new Map(all.map(definition => [definition.key, definition]))
  for (const definition of all)
    expect(() => checkDefinition(definition, others), definition.key).not.toThrow()
})

test('a change of many unknown keys is judged at once, and the first few get a suggestion', () => {
  const keyOf = (n: number) => `${'near.miss.'.repeat(9)}${String(n).padStart(8, 'x')}`
  const check = compileRules('string', {})
  const view: ScopeView = new Map(
    Array.from({ length: 1000 }, (_, n) => [
      keyOf(n),
      { definition: { ...definitionWith('string', {}), key: keyOf(n) }, check },
    ]),
  )
  const changes = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${keyOf(n)}y`, 1]))
  const began = performance.now()
  const errors = checkChanges(view, changes, { mayWriteReadonly: false })
  expect(performance.now() - began).toBeLessThan(20_000)
  expect(errors).toHaveLength(500)
  expect(errors.filter(({ message }) => message.includes('Did you mean'))).toHaveLength(3)
})

describe('patterns run in linear time', () => {
  const classic = [
    '^(a+)+$',
    '^(a|aa)+$',
    '^(a|a?)+$',
    '(.*a){12}$',
    '^([a-zA-Z0-9])(([-.]|[_]+)?([a-zA-Z0-9]+))*@x$',
    '(x+x+)+y',
  ]
  test.each(classic)('%s on 20,000 characters', source => {
    const pattern = compilePattern(source)
    const time = (length: number) => {
      const text = `${'a'.repeat(length)}!`
      const began = performance.now()
      pattern.test(text)
      return performance.now() - began
    }
    time(1000)
    expect(time(20_000)).toBeLessThan(20_000)
  })

  /** Each remembers which of the last letters were `a`: as many states as there are texts. */
  const hard = [15, 45, 100, 300, 990].map(n => `[ab]*a[ab]{${n}}[cd]`)
  /** The same each time, and without a pattern. */
  const letters = (length: number) => {
    let state = 1
    return Array.from({ length }, () => {
      state = (state * 48_271) % 2_147_483_647
      return state > 2 ** 30 ? 'a' : 'b'
    }).join('')
  }
  const timed = (check: () => unknown) => {
    const began = performance.now()
    check()
    return performance.now() - began
  }

  test.each(hard)('%s: as much text as a change may have costs little, and more is refused', source => {
    const longest = letters(Math.floor(maxSteps / compilePattern(source).stepsFor(1)))
    const tooLong = letters(95_000)
    const check = checkPattern(source)
    expect(timed(() => expect(check(longest)?.code).toBe('format'))).toBeLessThan(20_000)
    expect(timed(() => expect(check(tooLong)?.code).toBe('too_long'))).toBeLessThan(5000)
    const schema = compileRules('list', { schema: { items: { pattern: `${source}|^[ab]*$` } } })
    const list = Array.from({ length: 95 }, () => letters(1000))
    expect(timed(() => expect(schema(list)?.code).toBe('too_long'))).toBeLessThan(20_000)
  })

  test('all values of a change share what they may cost', () => {
    const rules = { pattern: '[ab]*a[ab]{990}[cd]|^[ab]*$' }
    const keys = Array.from({ length: 95 }, (_, n) => `a.b${n}`)
    const view: ScopeView = new Map(
      keys.map(key => [
        key,
        { definition: { ...definitionWith('string', rules), key }, check: compileRules('string', rules) },
      ]),
    )
    const changes = Object.fromEntries(keys.map(key => [key, letters(1000)]))
    let errors: FieldError[] = []
    const took = timed(() => {
      errors = checkChanges(view, changes, { mayWriteReadonly: false })
    })
    expect(took).toBeLessThan(20_000)
    expect(errors).toHaveLength(94)
    expect(errors[0]).toMatchObject({ path: '/a.b1', code: 'too_long', rule: 'pattern' })
  })

  test('the same patterns take RegExp twice as long for each letter', () => {
    const time = (length: number) => {
      const began = performance.now()
      ;/^(a+)+$/.test(`${'a'.repeat(length)}!`)
      return performance.now() - began
    }
    expect(time(24)).toBeGreaterThan(time(18) * 8)
  })
})

describe('unknown, hostile and huge input', async () => {
  const roster = await useTestApp()
  const admin = await roster.signUpAdmin()
  const user = await roster.signUp()

  const hostileKey = fc.oneof(
    fc.constantFrom(
      '__proto__',
      'constructor',
      'toString',
      'values',
      '',
      'ui.theme',
      'job.titles',
      'a/b~c',
      'ui',
    ),
    fc.string({ unit: 'binary', maxLength: 200 }),
  )
  const hostile = fc.dictionary(hostileKey, fc.oneof(anyValue, fc.jsonValue() as fc.Arbitrary<Json>), {
    maxKeys: 6,
  })

  test('never gives a 5xx, nor changes what is not named', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, fc.constantFrom('settings', 'preferences'), async (body, path) => {
        const { status } = await roster.put(`/api/v1/users/me/${path}`, body, { token: user.token })
        expect([200, 400, 422]).toContain(status)
      }),
      { numRuns: 150 },
    )
  })

  test('in a definition neither', async () => {
    const rules = fc.dictionary(
      fc.constantFrom(
        'min',
        'max',
        'pattern',
        'schema',
        'allowed_values',
        'max_items',
        'min_length',
        '__proto__',
      ),
      fc.oneof(anyValue, jsonSchema, patterns),
      { maxKeys: 3 },
    )
    await fc.assert(
      fc.asyncProperty(
        rules,
        anyValue,
        fc.constantFrom('string', 'list', 'object', 'date'),
        async (validation_rules, default_value, setting_type) => {
          const body = { key: 'fuzz.key', setting_type, description: 'x', default_value, validation_rules }
          const { status } = await roster.post('/api/v1/settings/definitions', body, { token: admin.token })
          expect([201, 400, 409]).toContain(status)
        },
      ),
      { numRuns: 100 },
    )
  })

  test.each([
    ['a list', []],
    ['a text', 'x'],
    ['nothing', undefined],
    ['a thousand keys', Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, n]))],
    [
      'more keys than there can be definitions',
      { values: Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`k${n}`, n])) },
    ],
    ['a text of 90 KB', { 'ui.theme': 'x'.repeat(90_000) }],
    ['a list of 20,000', { 'job.titles': Array(20_000).fill('x') }],
    ['too deep', { 'ui.theme': JSON.parse('['.repeat(40) + ']'.repeat(40)) as unknown }],
  ])('%s is refused', async (_name, body) => {
    const { status } = await roster.put('/api/v1/users/me/settings', body, { token: user.token })
    expect([400, 413, 422]).toContain(status)
  })
})
