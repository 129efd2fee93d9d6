import { readFile } from 'node:fs/promises'
import { clientTypes, problemCodes } from './reference/client-types.ts'
import { configurationReference } from './reference/configuration.ts'
import { envExample } from './reference/env-example.ts'
import { errorReference } from './reference/errors.ts'
import { mailPage } from './reference/mail-page.ts'
import { schemaReference } from './reference/schema.ts'

/** A committed file that follows from the code. */
export type GeneratedFile = {
  /** From the root of the repository. */
  file: string
  render(): string | Promise<string>
}

export const generatedFiles: readonly GeneratedFile[] = [
  { file: '.env.example', render: envExample },
  { file: 'client/src/generated/api.ts', render: clientTypes },
  { file: 'client/src/generated/problem-codes.ts', render: problemCodes },
  { file: 'docs/configuration.md', render: configurationReference },
  { file: 'docs/errors.md', render: errorReference },
  { file: 'server/schema.sql', render: schemaReference },
  { file: 'server/src/delivery/mail/mail.html', render: mailPage },
]

/** What a committed file is and what it should be. */
export type Comparison = { file: string; path: URL; committed: string | undefined; fresh: string }

/** Renders every generated file and reads the committed one. */
export function compareFiles(files: readonly GeneratedFile[] = generatedFiles): Promise<Comparison[]> {
  return Promise.all(
    files.map(async ({ file, render }) => {
      const path = new URL(`../${file}`, import.meta.url)
      return { file, path, committed: await readIfThere(path), fresh: await render() }
    }),
  )
}

export const isStale = ({ committed, fresh }: Comparison): boolean => committed !== fresh

/** The lines between the first and the last difference, at most `limit` of each side. */
export function difference({ file, committed, fresh }: Comparison, limit = 20): string {
  if (committed === undefined) return `${file} is missing`
  const before = committed.split('\n')
  const after = fresh.split('\n')
  const start = sharedLines(before, after)
  const end = sharedLines(before.slice(start).reverse(), after.slice(start).reverse())
  const changed = (lines: string[], mark: string) => {
    const all = lines.slice(start, lines.length - end).map(line => `${mark} ${line}`)
    return all.length > limit ? [...all.slice(0, limit), `${mark} … ${all.length - limit} more lines`] : all
  }
  return [`${file}, from line ${start + 1}:`, ...changed(before, '-'), ...changed(after, '+')].join('\n')
}

function sharedLines(a: readonly string[], b: readonly string[]): number {
  let count = 0
  while (count < a.length && count < b.length && a[count] === b[count]) count++
  return count
}

async function readIfThere(path: URL): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
