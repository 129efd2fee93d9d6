import { type Static, Type } from 'typebox'
import { nullable } from '../../http/schemas.ts'
import type { Json } from '../../lib/json.ts'
import { type SettingType, settingTypes } from './setting-types.ts'

const anyJson = (description: string) => Type.Unsafe<Json>({ description })

export const ScopeSchema = Type.Union([Type.Literal('preference'), Type.Literal('setting')], {
  description: 'Whether the key belongs to a user’s preferences or to their settings',
})

const ValidationRulesSchema = Type.Object(
  {
    allowed_values: Type.Optional(
      Type.Array(anyJson('A value'), { minItems: 1, maxItems: 500, description: 'The only values taken' }),
    ),
    min: Type.Optional(
      Type.Unsafe<number | string>({
        type: ['number', 'string'],
        description: 'A number, or a date or time',
      }),
    ),
    max: Type.Optional(Type.Unsafe<number | string>({ type: ['number', 'string'], description: 'The same' })),
    min_length: Type.Optional(Type.Integer({ minimum: 0, maximum: 20_000, description: 'In characters' })),
    max_length: Type.Optional(Type.Integer({ minimum: 0, maximum: 20_000 })),
    pattern: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        description:
          'RE2 syntax; matches anywhere unless anchored. Matched in linear time whatever it says; a large one ' +
          'needs a small `max_length`',
      }),
    ),
    min_items: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
    max_items: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
    unique_items: Type.Optional(Type.Boolean()),
    schema: Type.Optional(
      Type.Unsafe<Record<string, Json>>({
        type: 'object',
        description:
          'For `list` and `object`. The part of JSON Schema without references and combinations: type, enum, ' +
          'const, properties, required, additionalProperties, items, pattern, and the limits of lengths, sizes and ' +
          'numbers. At most 200 parts, 8 levels, and 2,000 characters of patterns',
      }),
    ),
  },
  { additionalProperties: false },
)

export type ValidationRules = Static<typeof ValidationRulesSchema>

const comparisons = ['lt', 'lte', 'gt', 'gte', 'eq', 'ne', 'requires'] as const

const CrossRuleSchema = Type.Object(
  {
    op: Type.Unsafe<(typeof comparisons)[number]>({
      type: 'string',
      enum: comparisons,
      description:
        'How the value relates to the other key’s; `requires`: the other key has a value where this has one. ' +
        'Without a value on either side a comparison holds',
    }),
    key: Type.String({ maxLength: 100, description: 'Another key of the same scope' }),
  },
  { additionalProperties: false },
)

export type CrossRule = Static<typeof CrossRuleSchema>

/** What an administrator may say of a key. */
const editable = {
  category: Type.String({
    pattern: '^[a-z][a-z0-9_]{0,99}$',
    description: 'Lower case letters, digits and `_`',
  }),
  setting_type: Type.Unsafe<SettingType>({ type: 'string', enum: settingTypes }),
  description: Type.String({ minLength: 1, maxLength: 1000 }),
  default_value: anyJson('The value of users who set none; null: no value'),
  validation_rules: ValidationRulesSchema,
  cross_rules: Type.Array(CrossRuleSchema, { maxItems: 10 }),
  is_public: Type.Boolean({ description: 'Other users may see it, where they may see the user' }),
  is_readonly: Type.Boolean({ description: 'Users see it, administrators set it' }),
  sort_order: Type.Integer({ minimum: -100_000, maximum: 100_000 }),
  deprecated: Type.Boolean({ description: 'Still taken, and shown to those who have set it' }),
}

export const DefinitionKeySchema = Type.String({
  pattern: '^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*$',
  maxLength: 100,
  description: 'Words of lower case letters, digits and `_`, joined by dots, e.g. `ui.theme`',
})

const definitionExample = {
  key: 'ui.theme',
  scope: 'preference',
  category: 'ui_preferences',
  setting_type: 'string',
  description: 'User interface theme preference',
  default_value: 'auto',
  validation_rules: { allowed_values: ['light', 'dark', 'auto'] },
  cross_rules: [],
  is_public: false,
  is_readonly: false,
  sort_order: 0,
  deprecated: false,
  version: 3,
}

export const DefinitionSchema = Type.Object(
  {
    key: DefinitionKeySchema,
    scope: ScopeSchema,
    ...editable,
    version: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  },
  {
    $id: 'SettingDefinition',
    description: 'A key with its type, rules and default.',
    examples: [definitionExample],
    additionalProperties: false,
  },
)

export type Definition = Static<typeof DefinitionSchema>

const optionalFields = Type.Partial(Type.Object(editable)).properties

export const OnInvalidSchema = Type.Unsafe<'reset' | 'keep'>({
  type: 'string',
  enum: ['reset', 'keep'],
  description:
    'What becomes of stored values that the change makes invalid: `reset` returns them to the default, and is ' +
    'refused where the default would break a rule between keys; `keep` leaves them until their users change ' +
    'them. Without it such a change is refused',
})

export const NewDefinitionSchema = Type.Object(
  {
    key: DefinitionKeySchema,
    scope: Type.Optional(ScopeSchema),
    ...optionalFields,
    category: Type.Optional(editable.category),
    setting_type: editable.setting_type,
    description: editable.description,
    on_invalid: Type.Optional(OnInvalidSchema),
  },
  {
    $id: 'NewSettingDefinition',
    additionalProperties: false,
    examples: [
      {
        key: 'theme',
        setting_type: 'string',
        category: 'ui_preferences',
        description: 'User interface theme preference',
        default_value: 'auto',
        validation_rules: { allowed_values: ['light', 'dark', 'auto'] },
        is_public: false,
      },
    ],
  },
)

export type NewDefinition = Static<typeof NewDefinitionSchema>

/** A change of a definition: what it leaves out stays. What was read can be sent back. */
export const DefinitionChangeSchema = Type.Object(
  {
    ...optionalFields,
    key: Type.Optional(Type.String({ maxLength: 100, description: 'The same as in the path' })),
    scope: Type.Optional(ScopeSchema),
    version: Type.Optional(
      Type.Integer({ description: 'The version that was read: 412 where somebody was faster' }),
    ),
    on_invalid: Type.Optional(OnInvalidSchema),
  },
  {
    $id: 'SettingDefinitionChange',
    description: 'What becomes different; what is left out stays.',
    examples: [{ default_value: 'dark', version: 3 }],
    additionalProperties: false,
    minProperties: 1,
  },
)

export type DefinitionChange = Static<typeof DefinitionChangeSchema>
export type OnInvalid = NonNullable<DefinitionChange['on_invalid']>

export const DefinitionListSchema = Type.Object(
  { items: Type.Array(Type.Unsafe<Definition>({ $ref: 'SettingDefinition#' })) },
  {
    $id: 'SettingDefinitionList',
    description: 'All definitions, in the order in which a form shows them.',
    examples: [{ items: [definitionExample] }],
    additionalProperties: false,
  },
)

const timestamp = Type.String({ format: 'date-time' })

export const DefinitionVersionsSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          version: Type.Integer(),
          changed_at: timestamp,
          changed_by: nullable(Type.String({ format: 'uuid' })),
          definition: Type.Unsafe<Definition>({ $ref: 'SettingDefinition#' }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  {
    $id: 'SettingDefinitionVersions',
    description: 'The versions of a definition, newest first.',
    examples: [
      {
        items: [
          {
            version: 3,
            changed_at: '2026-01-31T10:00:00.000Z',
            changed_by: null,
            definition: definitionExample,
          },
        ],
      },
    ],
    additionalProperties: false,
  },
)

export const DryRunSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    key: Type.String(),
    status: Type.Union([Type.Literal('running'), Type.Literal('done'), Type.Literal('failed')]),
    checked: Type.Integer({ description: 'Users looked at so far' }),
    total: Type.Integer({ description: 'Users with values in this scope when it began' }),
    invalid: Type.Integer({ description: 'Stored values that the candidate refuses, so far' }),
    samples: Type.Array(
      Type.Object(
        {
          user_id: Type.String({ format: 'uuid' }),
          value: anyJson('The stored value'),
          message: Type.String(),
        },
        { additionalProperties: false },
      ),
    ),
    started_at: timestamp,
    finished_at: nullable(timestamp),
  },
  {
    $id: 'SettingDryRun',
    description: 'What a change would do, as far as it is known.',
    examples: [
      {
        id: '019c1379-bb00-7000-8000-000000000005',
        key: 'ui.theme',
        status: 'done',
        checked: 300,
        total: 300,
        invalid: 1,
        samples: [
          {
            user_id: '019c1379-3f00-7000-8000-000000000000',
            value: 'sepia',
            message: 'takes one of: light, dark, auto',
          },
        ],
        started_at: '2026-01-31T10:00:00.000Z',
        finished_at: '2026-01-31T10:00:01.000Z',
      },
    ],
    additionalProperties: false,
  },
)

export type DryRun = Static<typeof DryRunSchema>

/** All values of one scope as their user sees them. */
export const SettingValuesSchema = Type.Object(
  {
    values: Type.Unsafe<Record<string, Json>>({
      type: 'object',
      additionalProperties: true,
      description: 'By key, defaults filled in',
    }),
    version: Type.Integer({ description: 'For `If-Match`; 0 where nothing was ever set' }),
    updated_at: nullable(timestamp),
    definitions: Type.Optional(Type.Array(Type.Unsafe<Definition>({ $ref: 'SettingDefinition#' }))),
  },
  {
    $id: 'SettingValues',
    description: 'All values of one scope, as their user sees them.',
    examples: [
      {
        values: { 'ui.theme': 'dark', 'ui.density': 'cosy' },
        version: 4,
        updated_at: '2026-01-31T10:00:00.000Z',
      },
    ],
    additionalProperties: false,
  },
)

export const ValueChangesSchema = Type.Unsafe<Record<string, Json>>({
  $id: 'SettingValueChanges',
  type: 'object',
  additionalProperties: true,
  description:
    '`{key: value, …}` with at most 500 keys, or `{values: {key: value, …}}` with at most 1,000; null returns a ' +
    'key to its default',
  examples: [{ 'ui.theme': 'dark', 'ui.density': null }],
})
