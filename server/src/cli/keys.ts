import { exit, type Io, type Run, UsageError } from './command.ts'
import { withServices } from './services.ts'

/** `roster keys rotate [--immediately | --encryption]` */
export const rotateKeys: Run = async (input, io) => {
  const immediately = input.has('immediately')
  if (input.has('encryption')) {
    if (immediately) throw new UsageError('--immediately is for signing keys: leave it out, or --encryption')
    return rotateEncryption(io)
  }
  const kid = await withServices(io, async ({ keys }) => {
    await keys.start()
    return keys.rotate({ actorType: 'operator' }, { immediately })
  })
  io.out(immediately ? `Key ${kid} signs now.` : `Key ${kid} is published, and signs in ten minutes.`)
  return exit.ok
}

/** May be repeated: what an interruption left is done then. */
async function rotateEncryption(io: Io): Promise<number> {
  const { id, sealed, broken } = await withServices(io, async ({ vault, factors }) => {
    const id = await vault.rotate()
    return { id, ...(await factors.sealAgain(id)) }
  })
  io.out(`Encryption key ${id} seals now; ${sealed} secrets were sealed again with it.`)
  io.out('ENCRYPTION_KEY_PREVIOUS is not needed any more.')
  for (const userId of broken) {
    io.err(
      `The authenticator app of user ${userId} can't be opened with any key: they have to set it up again.`,
    )
  }
  return broken.length === 0 ? exit.ok : exit.failed
}
