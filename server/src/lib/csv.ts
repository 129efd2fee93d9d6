/**
 * One line of CSV (RFC 4180). A cell that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, a tab or
 * another control in front; OWASP, CSV injection) gets an apostrophe before it.
 */
export const csvRow = (cells: readonly (string | null)[]): string => `${cells.map(csvCell).join(',')}\r\n`

function csvCell(text: string | null): string {
  if (text === null || text === '') return ''
  const inert = /^[\s\p{Cc}\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\p{Cc}]/u.test(text) ? `'${text}` : text
  return /[",\r\n;\t']/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}
