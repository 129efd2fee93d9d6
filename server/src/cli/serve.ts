import { loadConfig } from '../config.ts'
import { exit, type Run, UsageError } from './command.ts'

/** `roster serve [--demo]`: returns when the service is ready; it then keeps the process until a signal ends it. */
export const serve: Run = async (input, io) => {
  // Its warnings go to the service's own log.
  const config = loadConfig(io.env, io.cwd === undefined ? {} : { cwd: io.cwd })
  const demo = input.has('demo')
  if (demo && config.environment === 'production') {
    throw new UsageError(
      '--demo makes accounts whose password everybody knows: not with ENVIRONMENT=production',
    )
  }
  const main = await import('../main.ts')
  await main.serve(config, { demo })
  return exit.ok
}
