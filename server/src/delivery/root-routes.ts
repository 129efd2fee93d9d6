import type { Config } from '../config.ts'
import type { Store } from '../db/store.ts'
import type { App } from '../http/types.ts'
import type { Delivery } from './delivery.ts'
import { createMailbox } from './mailbox/read.ts'
import { mailboxRoutes } from './mailbox/routes.ts'
import { twilioRoutes } from './twilio/routes.ts'

/** What stands beside the API: Twilio's calls, and in development the mailbox. */
export async function deliveryRoutes(
  app: App,
  { config, store, delivery }: { config: Config; store: Store; delivery: Delivery },
): Promise<void> {
  await app.register((scope: App) => twilioRoutes(scope, { store, config, optOuts: delivery.optOuts }))
  const { environment, emailProvider, smsProvider } = config
  const keeps = emailProvider === 'mailbox' || smsProvider === 'mailbox'
  if (keeps && environment !== 'production') {
    const mailbox = createMailbox({ store, composer: delivery.composer })
    await app.register(async (scope: App) => mailboxRoutes(scope, mailbox))
  }
}
