export type Environment = 'development' | 'production'

export type SettingContext = {
  environment: Environment
  /** Where relative paths start, absolute. */
  cwd: string
  /** The text of any setting after defaults, undefined where it has none. */
  text(name: string): string | undefined
}

/** What a check says of a value that can be read but should not, or must not, be used. */
export type Finding = { level: 'refuse' | 'warn'; message: string }

export const refuse = (message: string): Finding => ({ level: 'refuse', message })
export const warn = (message: string): Finding => ({ level: 'warn', message })

/** Thrown by a parser. The message, where there is one, says what exactly is wrong; it holds no secret. */
export class BadValue extends Error {}

/** Reads the text of a variable. `takes` completes the sentence "this variable takes …". */
export type Parser<T> = {
  takes: string
  /** @throws BadValue */
  parse(text: string, context: SettingContext): T
  /** The value as it would be typed, where that is not plain. */
  print?(value: T): string
}

export type Group = 'Service' | 'Storage' | 'Secrets and tokens' | 'Accounts' | 'Mail and SMS' | 'Operation'

/** One variable of the configuration. */
export type SettingSpec<Key extends string, T> = Parser<T> & {
  /** Its property in the Config. */
  key: Key
  group: Group
  /** What it is for, one or two sentences. */
  about: string
  /** Other names it may have. */
  aliases?: readonly string[]
  /** As it would be typed; `$NAME` stands for another setting. */
  default?: string | Partial<Record<Environment, string>>
  /** Stands in the reference where the default can't be shown as typed. */
  defaultNote?: string
  /** What is hidden when it is printed: all of it, or the password within a URL. */
  secret?: 'all' | 'password'
  /** Makes a value for development, which is kept in DATA_DIR/secrets.json. */
  generate?: () => string
  /** What {@link check} demands, for the reference. */
  rule?: string
  check?(value: T | undefined, context: SettingContext): Finding | undefined
}

export type Setting<Key extends string = string, T = unknown> = SettingSpec<Key, T> & { required: boolean }

/** A setting that must have a value: without a default it has to be given. */
export function required<const Key extends string, T>(spec: SettingSpec<Key, T>): Setting<Key, T> {
  return { ...spec, required: true }
}

/** A setting that may stay undefined. */
export function optional<const Key extends string, T>(
  spec: SettingSpec<Key, T>,
): Setting<Key, T | undefined> {
  return { ...spec, required: false }
}
