import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { settingEntries } from '../server/src/config/settings.ts'
import { configWarnings, describeConfig, loadConfig } from '../server/src/config.ts'
import { problems } from '../server/src/http/problems.ts'
import { compareFiles, difference, generatedFiles, isStale } from './generated-files.ts'
import { code, table } from './reference/markdown.ts'

const firstCells = (file: string): string[] =>
  [...readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').matchAll(/^\| `([^`]+)`/gm)].map(
    ([, cell]) => cell ?? '',
  )

test.each(generatedFiles.map(({ file }) => file))('%s is what the code generates', async file => {
  const [comparison] = await compareFiles(generatedFiles.filter(generated => generated.file === file))
  expect(comparison?.committed).toBe(comparison?.fresh)
})

test('the error reference has every code of the catalogue, and no other', () => {
  expect(firstCells('docs/errors.md').sort()).toEqual(Object.keys(problems).sort())
})

test('the configuration reference has every setting, and no other', () => {
  expect(firstCells('docs/configuration.md').sort()).toEqual(
    settingEntries()
      .map(([name]) => name)
      .sort(),
  )
})

describe('.env.example', () => {
  const example = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
  const assignment = /^#([A-Z][A-Z0-9_]*)=/gm

  /** The configuration with a text as the `.env` of a new folder. */
  function configOf(dotenv: string) {
    const cwd = mkdtempSync(join(tmpdir(), 'env-example-'))
    onTestFinished(() => rmSync(cwd, { recursive: true }))
    writeFileSync(join(cwd, '.env'), dotenv)
    const config = loadConfig(
      { ENCRYPTION_KEY: '7f'.repeat(32), DATA_DIR: '/tmp' },
      { cwd, writeSecrets: false },
    )
    return { values: JSON.stringify(config), rows: describeConfig(config), warnings: configWarnings(config) }
  }

  test('has every setting once, and no other', () => {
    expect([...example.matchAll(assignment)].map(([, name]) => name).sort()).toEqual(
      settingEntries()
        .map(([name]) => name)
        .sort(),
    )
  })

  test('changes nothing as it is, and nothing where all of it is uncommented', () => {
    const none = configOf('')
    const copied = configOf(example)
    expect(copied).toEqual(none)
    const all = configOf(example.replace(assignment, '$1='))
    expect([all.values, all.warnings]).toEqual([none.values, none.warnings])
    const fromFile = all.rows.filter(({ source }) => source === '.env').map(({ name }) => name)
    expect(fromFile).toEqual(expect.arrayContaining(['PORT', 'PUBLIC_URL', 'BRAND_COLOR', 'MAIL_FROM']))
  })
})

test('a stale or missing file is found, with the lines that differ', async () => {
  const [stale, missing] = await compareFiles([
    { file: 'LICENSE', render: () => 'no licence' },
    { file: 'docs/no-such-page.md', render: () => 'text' },
  ])
  expect(stale && isStale(stale)).toBe(true)
  expect(stale && difference(stale, 1)).toMatch(
    /^LICENSE, from line 1:\n- .*\n- … \d+ more lines\n\+ no licence$/,
  )
  expect(missing && difference(missing)).toBe('docs/no-such-page.md is missing')
})

test('a difference in the middle shows the middle only', () => {
  const text = difference({
    file: 'f',
    path: new URL('file:///f'),
    committed: 'a\nb\nc',
    fresh: 'a\nx\ny\nc',
  })
  expect(text).toBe('f, from line 2:\n- b\n+ x\n+ y')
})

test('`generate --check` succeeds on a clean tree', () => {
  const script = new URL('./generate.ts', import.meta.url).pathname
  expect(spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toMatchObject({
    status: 0,
    stderr: '',
  })
})

test('a table cell cannot break its table', () => {
  expect(table(['a'], [[`${code('x|y')}\nz`]])).toBe('| a |\n| --- |\n| `x\\|y` z |')
})
