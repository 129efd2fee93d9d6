import { execFile } from 'node:child_process'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestApp } from '../../server/src/testing/harness.ts'
import { listen } from '../../server/src/testing/http-server.ts'
import { temporaryFolder } from '../../server/src/testing/temporary-folder.ts'

const run = promisify(execFile)
const root = path.join(import.meta.dirname, '../..')
const service = await useTestApp()

/** The package as `npm pack` makes it from a copy, and an empty project into which it was installed. */
const { folder, remove } = temporaryFolder()
const project = path.join(folder, 'project')
let tarball: string
let manifest: { exports: Record<string, { types: string; default: string }> }

beforeAll(async () => {
  const copy = path.join(folder, 'client')
  const isOurs = (file: string) => !/\/(node_modules|dist)$/.test(file)
  cpSync(path.join(root, 'client'), copy, { recursive: true, filter: isOurs })
  cpSync(path.join(root, 'tsconfig.json'), path.join(folder, 'tsconfig.json'))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  symlinkSync(path.join(root, 'client/node_modules'), path.join(copy, 'node_modules'))
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: copy })
  const name = /"filename": "([^"]+)"/.exec(stdout)?.[1] ?? ''
  tarball = path.join(folder, name)
  cpSync(path.join(root, 'client/src/testing/project'), project, { recursive: true })
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], { cwd: project })
  manifest = JSON.parse(readFileSync(path.join(project, 'node_modules/@roster/client/package.json'), 'utf8'))
})
afterAll(remove)

test('the package passes publint', async () => {
  const { messages, pkg } = await publint({
    pkgDir: path.join(project, 'node_modules/@roster/client'),
    strict: true,
  })
  expect(messages.map(message => formatMessage(message, pkg))).toEqual([])
})

test('its types are right for every way in, in Node and in bundlers', async () => {
  // Of ES modules alone, as every Node since 20.19 can require them; older resolution knows no exports.
  const attw = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')
  const program = path.join(path.dirname(attw), 'dist/index.js')
  const { stdout } = await run(process.execPath, [
    program,
    tarball,
    '--profile',
    'esm-only',
    '--format',
    'json',
  ])
  const { analysis }: { analysis: { types: unknown } } = JSON.parse(stdout)
  expect(analysis.types).toBeTruthy()
})

test('it holds what was built and nothing else', () => {
  const entries = Object.values(manifest.exports)
  for (const { types, default: file } of entries) {
    for (const each of [types, file]) {
      expect(readFileSync(path.join(project, 'node_modules/@roster/client', each), 'utf8')).not.toMatch(
        /from '\.[^']*\.ts'/,
      )
    }
  }
})

test('the core is at most 8 KB gzipped, and asks nothing of Node', async () => {
  const bundle = await rolldown({
    input: path.join(project, 'node_modules/@roster/client/dist/index.js'),
    platform: 'browser',
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ minify: true })
  await bundle.close()
  const [{ code, imports }] = output
  expect(imports).toEqual([])
  expect(gzipSync(code).length).toBeLessThanOrEqual(8192)
})

describe('in a project of its own', () => {
  test('it runs against the service, as plain JavaScript', async () => {
    service.clock.set(new Date())
    const url = `http://127.0.0.1:${await listen(service.app)}`
    const { email, password } = await service.signUp()
    const { stdout } = await run('node', ['use.mjs', url, email, password], { cwd: project })
    expect(JSON.parse(stdout)).toEqual({
      email,
      status: 'signed_in',
      refused: 'premium_required',
      verified: email,
    })
  })

  test('its types compile there, and tell right from wrong', async () => {
    const tsc = path.join(root, 'client/node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-p', project])
    writeFileSync(
      path.join(project, 'wrong.ts'),
      `import { createRoster } from '@roster/client'
await createRoster({ url: 'http://localhost' }).get('/api/v1/nowhere')
`,
    )
    await expect(run(process.execPath, [tsc, '-p', project])).rejects.toMatchObject({
      stdout: expect.stringContaining('wrong.ts(2,'),
    })
  })
})
