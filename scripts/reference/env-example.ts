import type { Group, Setting } from '../../server/src/config/setting.ts'
import { type SettingName, settingEntries, settings } from '../../server/src/config/settings.ts'

/** .env.example, from the table of settings: a file that changes nothing until a line of it is uncommented. */
export function envExample(): string {
  const groups = [...new Set(settingEntries().map(([, { group }]) => group))]
  return `# Configuration of Roster. Copy this file to .env and uncomment what you change: every line shows its default.
# A variable of the environment wins over the file. docs/configuration.md says the same, to read.
# Made from the code by \`npm run generate\`: don't edit it here.

${groups.map(section).join('\n')}`
}

function section(group: Group): string {
  const entries = settingEntries().filter(([, setting]) => setting.group === group)
  return `# ---- ${group} ----\n\n${entries.map(entry).join('\n')}`
}

function entry([name, setting]: readonly [SettingName, Setting]): string {
  const notes = [
    setting.about,
    `Takes ${setting.takes}.`,
    ...defaultNotes(setting),
    ...(setting.rule ? [`In production: ${setting.rule}`] : []),
  ]
  const comment = notes.join(' ').replaceAll('`', '')
  return `${wrap(comment)}\n#${name}=${quoted(defaultOf(setting))}\n`
}

function defaultNotes({ generate, default: fallback, defaultNote }: Setting): string[] {
  if (defaultNote !== undefined) return [`Default: ${defaultNote}.`]
  if (generate) return ['Generated in development; production needs it.']
  if (typeof fallback !== 'object') return []
  return [`Default in production: ${fallback.production ?? 'none, it needs one'}.`]
}

/** As it would be typed in development; empty where there is none. */
function defaultOf({ default: fallback }: Setting): string {
  const text = typeof fallback === 'object' ? fallback.development : fallback
  return (text ?? '').replace(/\$([A-Z_]+)/g, (_, name) => defaultOf(settings[name as SettingName])) // a setting's name
}

/** What a reader of such files would take for more than text stands in quotes. */
const quoted = (text: string): string => (/[\s#"'`$\\]/.test(text) ? JSON.stringify(text) : text)

/** Lines of a comment, of about 110 characters. */
function wrap(text: string): string {
  const lines = ['#']
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? ''
    if (line.length > 1 && line.length + word.length > 110) lines.push(`# ${word}`)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}
