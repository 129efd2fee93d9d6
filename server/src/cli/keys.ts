import { exit, type Io, type Run } from './command.ts'
import { withServices } from './services.ts'

/** `roster keys rotate [--immediately | --encryption]` */
export const rotateKeys: Run = async (input, io) => {
  if (input.has('encryption')) return rotateEncryption(io)
  const immediately = input.has('immediately')
  const kid = await withServices(io, async ({ keys }) => {
    await keys.start()
    return keys.rotate({ actorType: 'operator' }, { immediately })
  })
  io.out(immediately ? `Key ${kid} signs now.` : `Key ${kid} is published, and signs in ten minutes.`)
  return exit.ok
}

/** May be repeated: what an interruption left is done then. */
async function rotateEncryption(io: Io): Promise<number> {
  const { id, count } = await withServices(io, async ({ vault, factors }) => {
    const id = await vault.rotate()
    return { id, count: await factors.sealAgain(id) }
  })
  io.out(`Encryption key ${id} seals now; ${count} secrets were sealed again with it.`)
  io.out('ENCRYPTION_KEY_PREVIOUS is not needed any more.')
  return exit.ok
}
