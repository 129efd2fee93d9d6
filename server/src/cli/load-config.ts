import { type Config, configWarnings, loadConfig } from '../config.ts'
import type { Io } from './command.ts'

/**
 * The configuration for a command; its warnings go to the person.
 * @param writeSecrets false for a command that only looks
 */
export function loadConfigFor(io: Io, writeSecrets = true): Config {
  const config = loadConfig(io.env, { ...(io.cwd !== undefined && { cwd: io.cwd }), writeSecrets })
  for (const warning of configWarnings(config)) io.err(`warning: ${warning}`)
  return config
}
