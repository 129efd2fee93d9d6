import type { Proof } from '../../verification/index.ts'
import { renderPage } from './html.ts'
import type { LinkPage } from './link-pages.ts'

/** What a form sent, by field. */
export type Form = Readonly<Record<string, string>>

/** A page with its form; after a failed attempt with what is wrong, and what was typed except passwords. */
export function renderForm(
  page: LinkPage,
  { brandName }: { brandName: string },
  secret: string,
  proof: Proof | undefined,
  attempt?: { form: Form; errors: readonly string[] },
): string {
  const fields = page.fields.map(field => {
    const typed = field.type === 'password' ? undefined : attempt?.form[field.name]
    return typed === undefined ? field : { ...field, value: typed }
  })
  return renderPage({
    brandName,
    title: page.title,
    text: page.text(proof),
    ...(attempt && { errors: attempt.errors }),
    form: { action: page.path, hidden: { [page.secret]: secret }, fields, button: page.button },
  })
}
