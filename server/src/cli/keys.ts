import { exit, type Run } from './command.ts'
import { withServices } from './services.ts'

/** `roster keys rotate [--immediately]` */
export const rotateKeys: Run = async (input, io) => {
  const immediately = input.has('immediately')
  const kid = await withServices(io, async ({ keys }) => {
    await keys.start()
    return keys.rotate({ actorType: 'operator' }, { immediately })
  })
  io.out(immediately ? `Key ${kid} signs now.` : `Key ${kid} is published, and signs in ten minutes.`)
  return exit.ok
}
