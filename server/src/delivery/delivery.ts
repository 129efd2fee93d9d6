import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import type { Store } from '../db/store.ts'
import type { Vault } from '../encryption/index.ts'
import type { Metrics } from '../http/metrics.ts'
import type { Clock } from '../lib/clock.ts'
import { type Composer, createComposer } from './composer.ts'
import { createContentSeal } from './content-seal.ts'
import { createMailRenderer } from './mail/render.ts'
import { createDeliveryMetrics } from './metrics.ts'
import { createOptOuts, type OptOuts } from './opt-outs.ts'
import { createOutbound, type Outbound, type WantsMail } from './outbound.ts'
import { createProviders } from './providers/choose.ts'
import { readBacklog } from './repo.ts'
import { createSender, type Sender } from './sender.ts'

export type DeliveryDeps = {
  config: Config
  vault: Pick<Vault, 'root'>
  clock: Clock
  log: Logger
  store: Store
  metrics: Metrics
  wantsMail: WantsMail
}

/** Everything about messages to people that one process needs. */
export type Delivery = { outbound: Outbound; sender: Sender; composer: Composer; optOuts: OptOuts }

export function createDelivery(
  { config, vault: { root }, clock, log, store, metrics, wantsMail }: DeliveryDeps,
  providers = createProviders(config),
): Delivery {
  const { publicUrl, emailProvider, smsProvider } = config
  const seal = createContentSeal(root)
  const counts = createDeliveryMetrics(metrics.registry, () => readBacklog(store.db, clock.now()))
  const brand = {
    name: config.brandName,
    logoUrl: config.brandLogoUrl,
    color: config.brandColor,
    site: publicUrl,
  }
  const renderer = createMailRenderer({
    brand,
    templatesDir: config.mailTemplatesDir,
    onFailure(template, error) {
      counts.templateFailed(template)
      log.error({ template, err: error }, 'a mail template failed; a simpler one is used')
    },
  })
  const composer = createComposer({ seal, renderer, brand })
  const optOuts = createOptOuts({ store, clock, root })
  const sender = createSender({ store, clock, log, metrics: counts, composer, optOuts, providers })
  const outbound = createOutbound({
    clock,
    seal,
    metrics: counts,
    wantsMail,
    publicUrl,
    emailProvider,
    smsProvider,
  })
  return { outbound, sender, composer, optOuts }
}
