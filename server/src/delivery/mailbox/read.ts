import type { Store } from '../../db/store.ts'
import type { Composer } from '../composer.ts'
import { type KeptMessage, listKept } from '../repo.ts'
import type { MailboxMessage } from '../schemas.ts'

/** The messages of development, newest first. Nothing of them has left the machine. */
export type Mailbox = {
  list(filter: { to?: string | undefined; limit: number }): Promise<MailboxMessage[]>
  find(id: string): Promise<MailboxMessage | undefined>
}

export function createMailbox({ store, composer }: { store: Store; composer: Composer }): Mailbox {
  const read = async (messages: KeptMessage[]): Promise<MailboxMessage[]> => {
    const composed = await Promise.all(messages.map(message => compose(composer, message)))
    return composed.filter(message => message !== undefined)
  }
  return {
    list: async filter => read(await listKept(store.db, filter)),
    find: async id => (await read(await listKept(store.db, { id, limit: 1 })))[0],
  }
}

/** Undefined for one sealed under an earlier ENCRYPTION_KEY: it can't be read any more. */
async function compose(composer: Composer, message: KeptMessage): Promise<MailboxMessage | undefined> {
  try {
    const { purpose, code, link } = composer.facts(message)
    const words =
      message.channel === 'email'
        ? await composer.mail(message)
        : { subject: null, text: composer.text(message), html: null }
    return {
      id: message.id,
      channel: message.channel,
      to: message.recipient,
      subject: words.subject,
      text: words.text,
      html: words.html,
      purpose,
      code,
      link,
      created_at: message.created_at.toISOString(),
    }
  } catch {
    return undefined
  }
}
