/** The types a key can have. */
export const settingTypes = [
  'string',
  'text',
  'integer',
  'number',
  'boolean',
  'date',
  'time',
  'enum',
  'multi_enum',
  'list',
  'object',
  'color',
  'url',
  'email',
  'timezone',
  'locale',
] as const

export type SettingType = (typeof settingTypes)[number]
