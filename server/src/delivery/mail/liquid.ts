import type { Liquid } from 'liquidjs'
import type { MailView } from './view.ts'

/** A template that was read once and can be filled in many times. */
export type Engine = { render(view: MailView): Promise<string> }

const loaded = new Map<'html' | 'text', Promise<Liquid>>()

/**
 * Parses a Liquid template. In HTML every value is escaped. Values are never read as templates themselves, and
 * templates reach no files and nothing beyond the view. Loads Liquid when first called.
 * @throws where the template is malformed
 */
export async function createEngine(source: string, format: 'html' | 'text'): Promise<Engine> {
  const liquid = await load(format)
  const template = liquid.parse(source)
  return { render: async view => String(await liquid.render(template, view)) }
}

function load(format: 'html' | 'text'): Promise<Liquid> {
  const known = loaded.get(format)
  if (known) return known
  const loading = import('liquidjs').then(
    ({ Liquid: Engine }) =>
      new Engine({
        ...(format === 'html' && { outputEscape: 'escape' as const }),
        templates: {},
        ownPropertyOnly: true,
        strictFilters: true,
        strictVariables: true,
        lenientIf: true,
        // Milliseconds, and roughly characters: a template that never ends holds nobody up.
        renderLimit: 500,
        memoryLimit: 5_000_000,
      }),
  )
  loaded.set(format, loading)
  return loading
}
