import { hasControls } from '../../lib/text.ts'

/** The longest value that a mail quotes, in code points. */
const maxLength = 100

/**
 * A value from outside as one short line of plain text: control, format and line-separator characters, which
 * could begin a header or turn text around, become spaces. Escaping for HTML is the template's work.
 */
export function plainLine(value: string): string {
  const spaced = [...value].map(one => (hasControls(one) ? ' ' : one)).join('')
  const line = spaced.replace(/\s+/gu, ' ').trim()
  const points = [...line]
  return points.length > maxLength ? `${points.slice(0, maxLength - 1).join('')}…` : line
}

/**
 * A person's name as a mail may say it, or undefined. Mail programs make links of what looks like an address,
 * so whoever registers strangers as “win at spam.example” could send them advertising in our name: such names
 * are left out.
 */
export function sayableName(name: string | null | undefined): string | undefined {
  const line = plainLine(name ?? '')
  return line === '' || looksLikeAddress(line) ? undefined : line
}

const looksLikeAddress = (text: string): boolean =>
  /[/\\@]|:\S|\bwww|[\p{L}\p{N}][.。．｡][\p{L}\p{N}]{2}/iu.test(text)

/** The data of a message with every text in it made one plain line; addresses of links stay as they are. */
export function inertData<Data extends object>(data: Data): Data {
  const entries = Object.entries(data).map(([key, value]) => {
    if (typeof value !== 'string' || key === 'link' || key.endsWith('_link')) return [key, value]
    if (key === 'name' || key === 'inviter') return [key, sayableName(value) ?? null]
    if (key === 'device') return [key, plainLine(value.replace(/[./\\@:]/g, ' '))]
    return [key, plainLine(value)]
  })
  // The same keys with values of the same types: text stays text, and names may be null anyway.
  return Object.fromEntries(entries) as Data
}
