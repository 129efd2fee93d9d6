import type { Group, Setting } from '../../server/src/config/setting.ts'
import { type SettingName, settingEntries } from '../../server/src/config/settings.ts'
import { code, generatedNote, table } from './markdown.ts'

/** docs/configuration.md, from the table of settings. */
export function configurationReference(): string {
  const groups = [...new Set(settingEntries().map(([, { group }]) => group))]
  return `${generatedNote}

# Configuration

Roster is configured by environment variables, and needs none: without any it runs for development, on this machine alone.

A file \`.env\` in the working directory is read too; a real variable wins over it, and an empty one counts as not set. \`.env.example\` is one to begin with: every setting with its default, commented out. \`npm run roster -- config\` prints every setting in effect and where it came from, with secrets hidden.

A value that can't be used stops the start, and every problem is named at once. With \`ENVIRONMENT=production\` so does every value that is missing or unsafe: the last column says what production demands.

${groups.map(section).join('\n\n')}

## Generated secrets

In development, secrets that are not set are made at the first start and kept in \`DATA_DIR/secrets.json\`, which only the user that runs the service can read. Keep it as long as the database: what it encrypted can't be read without it. Production takes secrets from its environment only.
`
}

function section(group: Group): string {
  const rows = settingEntries().filter(([, setting]) => setting.group === group)
  return `## ${group}\n\n${table(['Variable', 'Takes', 'Default', 'What it does', 'In production'], rows.map(row))}`
}

const row = ([name, setting]: readonly [SettingName, Setting]): string[] => [
  [name, ...(setting.aliases ?? [])].map(code).join(' or '),
  setting.takes,
  defaultOf(setting),
  setting.about,
  setting.rule ?? '',
]

function defaultOf(setting: Setting): string {
  if (setting.defaultNote) return setting.defaultNote
  if (setting.generate) return 'generated in development; production needs it'
  if (setting.default === undefined) return 'not set'
  if (typeof setting.default === 'string') return code(setting.default)
  const { development, production } = setting.default
  const shown = (text: string | undefined) => (text === undefined ? 'needs it' : code(text))
  return `development: ${shown(development)}; production: ${shown(production)}`
}
