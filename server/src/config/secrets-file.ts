import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { dirname, join } from 'node:path'

/** The generated secrets can't be read or kept. The message says what to do, and holds no secret. */
export class SecretsFileError extends Error {
  override readonly name = 'SecretsFileError'
}

export type Secrets = { values: Readonly<Record<string, string>>; warnings: string[] }

export const secretsFile = (dataDir: string): string => join(dataDir, 'secrets.json')

/**
 * Reads the generated secrets of `dataDir`, and makes those of `generators` first where there are none yet.
 * Processes that do this at the same moment all get the same ones.
 * @param generators how to make each secret, by the name of its variable
 * @param write false changes nothing on the disk; secrets that are made then are forgotten
 * @throws SecretsFileError
 */
export function keepSecrets(
  dataDir: string,
  generators: Readonly<Record<string, () => string>>,
  write: boolean,
): Secrets {
  const file = secretsFile(dataDir)
  const present = readSecrets(file, Object.keys(generators), write)
  if (present) return present
  if (!write) return { values: makeAll(generators), warnings: [] }
  explained(`${file} can't be written`, () => createSecrets(file, generators))
  const made = readSecrets(file, Object.keys(generators), write)
  if (!made) throw new SecretsFileError(`${file} was removed as soon as it was written`)
  return made
}

const makeAll = (generators: Readonly<Record<string, () => string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(generators).map(([name, make]) => [name, make()]))

/** Readers see no file or a whole one, and of several writers the first stays: a link never replaces. */
function createSecrets(file: string, generators: Readonly<Record<string, () => string>>): void {
  const values = makeAll(generators)
  const folder = dirname(file)
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    fs.writeFileSync(draft, `${JSON.stringify(values, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
    fs.linkSync(draft, file)
    syncFolder(folder)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    fs.rmSync(draft, { force: true })
  }
}

function readSecrets(file: string, names: readonly string[], write: boolean): Secrets | undefined {
  const stat = explained(`${file} can't be read`, () => fs.lstatSync(file, { throwIfNoEntry: false }))
  if (!stat) return undefined
  if (!stat.isFile()) throw new SecretsFileError(`${file} is not a regular file`)
  const warnings = tighten(file, stat, write)
  const values = parseSecrets(
    file,
    explained(`${file} can't be read`, () => fs.readFileSync(file, 'utf8')),
  )
  for (const name of names) {
    if (values[name] === undefined) throw damaged(file, `it holds no ${name}`)
  }
  return { values, warnings }
}

function tighten(file: string, stat: fs.Stats, write: boolean): string[] {
  if (process.platform === 'win32' || (stat.mode & 0o077) === 0) return []
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
  if (!write) return [`${file} is open to other users (mode ${mode})`]
  explained(`${file} is open to other users (mode ${mode}) and can't be closed to them`, () =>
    fs.chmodSync(file, 0o600),
  )
  return [
    `${file} was open to other users (mode ${mode}); it is closed to them now, but they may have read it`,
  ]
}

function parseSecrets(file: string, text: string): Record<string, string> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw damaged(file, 'it is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw damaged(file, 'it is no JSON object')
  }
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value !== 'string') throw damaged(file, `${name} is no text`)
    values[name] = value
  }
  return values
}

const damaged = (file: string, why: string): SecretsFileError =>
  new SecretsFileError(
    `${file} is damaged: ${why}. Restore it from a copy. Without it, what it encrypted can't be read; ` +
      'remove it only together with the database it belongs to',
  )

/** A file that survives a power cut needs its folder's entry on the disk as well. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = fs.openSync(folder, 'r')
  try {
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
}

function explained<T>(what: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw new SecretsFileError(`${what} (${codeOf(error) ?? error})`, { cause: error })
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
