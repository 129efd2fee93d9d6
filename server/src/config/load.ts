import fs from 'node:fs'
import { join } from 'node:path'
import { inspect, parseEnv } from 'node:util'
import { nearest } from '../lib/nearest.ts'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { hide, redacted } from './print.ts'
import { keepSecrets, SecretsFileError, secretsFile } from './secrets-file.ts'
import { BadValue, type Environment, type Setting, type SettingContext } from './setting.ts'
import { type Config, type SettingName, settingEntries, settings } from './settings.ts'

export type Variables = Readonly<Record<string, string | undefined>>

/** Where a value came from. */
export type Source = 'environment' | '.env' | 'default' | 'generated' | 'not set'

export type LoadOptions = {
  /** The working directory: `.env` is read there, and a relative DATA_DIR starts there. */
  cwd?: string
  /** False leaves `.env` alone. */
  dotenv?: boolean
  /** False writes nothing, for commands that only look: secrets that are made then are forgotten. */
  writeSecrets?: boolean
}

/** What is remembered of a Config beside its values. */
export type Origins = { sources: Readonly<Record<SettingName, Source>>; warnings: readonly string[] }

const origins = new WeakMap<Config, Origins>()

/** Undefined for a Config that was put together by hand. */
export const originsOf = (config: Config): Origins | undefined => origins.get(config)

/** See `loadConfig` in ../config.ts. */
export function load(env: Variables, options: LoadOptions): Config {
  const reading = new Reading(env, options)
  reading.findSlips()
  for (const [name, setting] of settingEntries()) reading.read(name, setting)
  if (reading.problems.length === 0) reading.generate(options.writeSecrets ?? true)
  if (reading.problems.length > 0) throw new ConfigError(reading.problems)
  return reading.finish()
}

type Given = { text: string; source: Source; name: string }

class Reading {
  readonly problems: ConfigProblem[] = []
  readonly #warnings: string[] = []
  readonly #values: Record<string, unknown> = {}
  readonly #sources: Partial<Record<SettingName, Source>> = {}
  readonly #toGenerate = new Map<SettingName, Setting>()
  readonly #env: Variables
  readonly #file: Variables
  readonly #environment: Environment
  readonly #context: SettingContext

  constructor(env: Variables, options: LoadOptions) {
    const cwd = options.cwd ?? process.cwd()
    this.#env = env
    this.#file = options.dotenv === false ? {} : this.#readDotenv(join(cwd, '.env'))
    const environment = this.#given('ENVIRONMENT', settings.ENVIRONMENT)?.text.trim().toLowerCase()
    this.#environment = environment === 'production' ? 'production' : 'development'
    this.#context = { environment: this.#environment, cwd, text: name => this.#effective(name) }
  }

  /** Reads, parses and checks one setting; notes what is wrong with it. */
  read(name: SettingName, setting: Setting): void {
    const given = this.#given(name, setting)
    this.#findRival(name, setting, given)
    const fallback = this.#default(setting)
    this.#sources[name] = given?.source ?? (fallback === undefined ? 'not set' : 'default')
    const text = given?.text ?? fallback
    if (text === undefined && setting.generate && this.#environment === 'development') {
      this.#toGenerate.set(name, setting)
    } else if (text === undefined && setting.required) {
      this.problems.push({
        name,
        message: `missing: production needs it${fromDevelopment(setting)}`,
        takes: setting.takes,
      })
    } else {
      this.#take(name, setting, text, given)
    }
  }

  /** Gets the secrets that nobody gave from the file in DATA_DIR, which is made where there is none. */
  generate(write: boolean): void {
    if (this.#toGenerate.size === 0) return
    const makers = Object.fromEntries(
      [...this.#toGenerate].map(([name, { generate }]) => [name, generate ?? (() => '')]),
    )
    for (const [name, text] of Object.entries(this.#secrets(makers, write))) {
      const setting = this.#toGenerate.get(name as SettingName)
      if (!setting) continue
      this.#sources[name as SettingName] = 'generated'
      this.#take(name as SettingName, setting, text, undefined)
    }
  }

  /** Notes variables that look like one of ours with a slip in its name. */
  findSlips(): void {
    const known = new Set(settingEntries().flatMap(([name, { aliases = [] }]) => [name, ...aliases]))
    for (const name of new Set([...Object.keys(this.#env), ...Object.keys(this.#file)])) {
      if (known.has(name) || name.length < 6) continue
      const upper = name.toUpperCase()
      const meant = known.has(upper) ? upper : nearest(upper, known)
      // Windows finds a variable under any case.
      if (meant && this.#typed(name) !== this.#typed(meant)) {
        this.#warnings.push(`${name} has no effect. Did you mean ${meant}?`)
      }
    }
  }

  finish(): Config {
    const values = this.#values
    for (const value of Object.values(values)) freezeDeep(value)
    Object.defineProperties(values, {
      toJSON: { value: () => redacted(values) },
      [inspect.custom]: { value: () => redacted(values) },
    })
    // read() has put a value of its setting's type under every key, or noted a problem.
    const config = Object.freeze(values) as Config
    origins.set(config, {
      sources: Object.freeze(this.#sources as Record<SettingName, Source>),
      warnings: Object.freeze([...this.#warnings]),
    })
    return config
  }

  #take(name: SettingName, setting: Setting, text: string | undefined, given: Given | undefined): void {
    try {
      const value = text === undefined ? undefined : setting.parse(text, this.#context)
      this.#values[setting.key] = value
      const finding = setting.check?.(value, this.#context)
      if (finding?.level === 'warn') this.#warnings.push(`${name} ${finding.message}`)
      if (finding?.level === 'refuse') this.#refuse(name, setting, finding.message, given)
    } catch (error) {
      if (!(error instanceof BadValue)) throw error
      // A default is wrong only through another setting that it is made from, and that one is reported.
      if (given) this.#refuse(name, setting, error.message, given)
      else if (setting.generate)
        this.#refuse(name, setting, `wrong in ${secretsFile(this.#dataDir())}`, given)
    }
  }

  #refuse(name: SettingName, setting: Setting, message: string, given: Given | undefined): void {
    const got = given && { got: hide(given.text, setting.secret), source: given.source, typedAs: given.name }
    this.problems.push({ name, message, takes: setting.takes, ...got })
  }

  #secrets(makers: Record<string, () => string>, write: boolean): Readonly<Record<string, string>> {
    try {
      const { values, warnings } = keepSecrets(this.#dataDir(), makers, write)
      this.#warnings.push(...warnings)
      return values
    } catch (error) {
      if (!(error instanceof SecretsFileError)) throw error
      this.problems.push({ name: 'DATA_DIR', message: error.message })
      return {}
    }
  }

  #dataDir(): string {
    return String(this.#values[settings.DATA_DIR.key])
  }

  #typed(name: string): string | undefined {
    return this.#env[name] ?? this.#file[name]
  }

  /** What someone typed for a setting, under its name or another it has; nothing counts as not typed. */
  #given(name: string, setting: Pick<Setting, 'aliases'>): Given | undefined {
    return this.#allGiven(name, setting)[0]
  }

  #allGiven(name: string, { aliases = [] }: Pick<Setting, 'aliases'>): Given[] {
    const places = [
      ['environment', this.#env],
      ['.env', this.#file],
    ] as const
    return places.flatMap(([source, variables]) =>
      [name, ...aliases].flatMap(alias => {
        const text = variables[alias]
        return text === undefined || text.trim() === '' ? [] : [{ text, source, name: alias }]
      }),
    )
  }

  #findRival(name: SettingName, setting: Setting, given: Given | undefined): void {
    const rival = this.#allGiven(name, setting).find(
      ({ source, text }) => source === given?.source && text !== given.text,
    )
    if (given && rival) {
      this.problems.push({ name, message: `${given.name} and ${rival.name} differ: keep one of them` })
    }
  }

  #default(setting: Setting): string | undefined {
    const text = typeof setting.default === 'string' ? setting.default : setting.default?.[this.#environment]
    return text?.replace(/\$([A-Z_]+)/g, (_, name: string) => this.#effective(name)?.trim() ?? '')
  }

  #effective(name: string): string | undefined {
    const setting = settingEntries().find(([known]) => known === name)?.[1]
    return setting && (this.#given(name, setting)?.text ?? this.#default(setting))
  }

  #readDotenv(file: string): Variables {
    try {
      const text = fs.readFileSync(file, 'utf8').replace(/^\ufeff/, '') // some editors begin a file with it
      if (!text.includes('\0')) return parseEnv(text)
      this.problems.push({ name: '.env', message: `${file} is no text in UTF-8` })
      return {}
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'ENOENT') this.problems.push({ name: '.env', message: `${file} can't be read (${code})` })
      return {}
    }
  }
}

const fromDevelopment = (setting: Setting): string =>
  setting.generate ? '; data made in development needs the one in DATA_DIR/secrets.json' : ''

function freezeDeep(value: unknown): void {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return
  Object.values(value).forEach(freezeDeep)
  Object.freeze(value)
}
