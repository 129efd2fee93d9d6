import { type LoadOptions, load, originsOf, type Source, type Variables } from './config/load.ts'
import { printValue } from './config/print.ts'
import { type Config, type SettingName, settingEntries } from './config/settings.ts'

export { ConfigError } from './config/config-error.ts'
export type { RateLimitGroup, RateLimits } from './config/parsers.ts'
export type { Config } from './config/settings.ts'

/**
 * Reads the configuration: real variables first, then `.env` in the working directory, then defaults. In
 * development, secrets that nobody gave are made once and kept in DATA_DIR/secrets.json.
 * @param env the process's own variables unless given
 * @returns frozen, and with secrets hidden when printed
 * @throws ConfigError with everything that is wrong or unsafe at once
 */
export function loadConfig(env: Variables = process.env, options: LoadOptions = {}): Config {
  return load(env, options)
}

/** Whether LOG_LEVEL asks for more than people usually want to see, whatever else is wrong with the variables. */
export const wantsDebugging = (env: Variables = process.env): boolean =>
  ['debug', 'trace'].includes(env.LOG_LEVEL?.trim().toLowerCase() ?? '')

/** What is doubtful about a loaded configuration, a sentence each; empty for one put together by hand. */
export const configWarnings = (config: Config): readonly string[] => originsOf(config)?.warnings ?? []

export type ConfigRow = { name: SettingName; value: string; source: Source | 'code' }

/** Every setting as it would be typed, secrets hidden, with where it came from. */
export function describeConfig(config: Config): ConfigRow[] {
  const sources = originsOf(config)?.sources
  return settingEntries().map(([name, setting]) => ({
    name,
    value: printValue(setting, (config as Record<string, unknown>)[setting.key]),
    source: sources?.[name] ?? 'code',
  }))
}
