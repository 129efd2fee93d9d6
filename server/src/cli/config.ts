import { describeConfig } from '../config.ts'
import { exit, type Run } from './command.ts'
import { loadConfigFor } from './load-config.ts'

/** `roster config`: one line a setting: name, value as it would be typed, source. */
export const config: Run = async (_input, io) => {
  const rows = describeConfig(loadConfigFor(io, false))
  const nameWidth = Math.max(...rows.map(({ name }) => name.length))
  const valueWidth = Math.min(60, Math.max(...rows.map(({ value }) => value.length)))
  for (const { name, value, source } of rows) {
    io.out(`${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${source}`)
  }
  return exit.ok
}
