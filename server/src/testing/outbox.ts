import { createContentSeal } from '../delivery/content-seal.ts'
import type { TestApp } from './harness.ts'

/** A message as it was queued: its template and what it says. */
export type Sent = { template: string; to: string; data: Record<string, string> }

/** What was sent to an address or number, newest first. */
export async function sentTo(roster: TestApp, to: string): Promise<Sent[]> {
  const rows = await roster.sql(
    'select id, template, recipient, content from messages where recipient = $1 order by id desc',
    [to],
  )
  const seal = createContentSeal(roster.resources.vault.root)
  return rows.map(row => ({
    template: row.template,
    to: row.recipient,
    data: seal.open(row.id, row.content) as Record<string, string>, // written by the outbound queue
  }))
}

/** What the newest message of a template said. */
export async function lastSent(roster: TestApp, to: string, template: string): Promise<Sent['data']> {
  const sent = await sentTo(roster, to)
  const found = sent.find(message => message.template === template)
  if (!found) throw new Error(`no ${template} for ${to}, only ${sent.map(one => one.template).join(', ')}`)
  return found.data
}

/** The token of a link. */
export const tokenOf = (link: string | undefined): string =>
  new URL(link ?? '').searchParams.get('token') ?? ''
