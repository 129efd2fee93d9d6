import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ProblemError } from '../http/problems.ts'
import { roster } from '../testing/roster.ts'
import type { Command, Io } from './command.ts'
import { commands } from './commands.ts'
import { explain, inWords } from './explain.ts'
import { parseCommandLine } from './parse.ts'
import { runCommandLine } from './run.ts'

describe('help', () => {
  test('lists every command', async () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { code, out, err } = await roster(argv)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      for (const { name, summary } of commands)
        expect(out).toMatch(new RegExp(`^ {2}${name} +${summary}$`, 'm'))
    }
  })

  test.each(commands.map(command => [command.name, command] as const))(
    'of %s names its options',
    async (name, command) => {
      const words = name.split(' ')
      const { code, out } = await roster([...words, '--help'])
      expect(code).toBe(0)
      expect(out).toContain(`Usage: roster ${name}`)
      for (const option of command.options) expect(out).toContain(`--${option.name}`)
      expect((await roster(['help', ...words])).out).toBe(out)
      expect((await roster([...words, '-h'])).out).toBe(out)
    },
  )

  test('is an error where no command was typed', async () => {
    const { code, out, err } = await roster([])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('Usage: roster <command>')
  })

  test('and the version come from a process in a moment, without the service being loaded', () => {
    const script = new URL('../cli.ts', import.meta.url).pathname
    const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(run(script, '--version')).toMatchObject({ status: 0, stdout: '0.1.0\n', stderr: '' })
    const loaded = run(
      '--input-type=module',
      '-e',
      `
      process.argv.push('--help')
      await import(${JSON.stringify(script)})
      console.log(process.moduleLoadList.filter(name => /NativeModule (http|tls)$/.test(name)).join())`,
    )
    expect(loaded.stdout.trimEnd().split('\n').at(-1)).toBe('')
  })
})

describe('a command line typed wrong ends with 2 and says', () => {
  test.each([
    ['srve', 'there is no command "srve". Did you mean serve?'],
    ['hlep', 'there is no command "hlep". Did you mean help?'],
    ['frobnicate', 'there is no command "frobnicate"'],
    ['admin', 'admin needs a word more: admin create'],
    ['admin --email a@b.c', 'admin needs a word more: admin create'],
    ['admin creat', 'there is no command "admin creat". Did you mean admin create?'],
    ['admin remove', 'there is no command "admin remove". Did you mean admin create?'],
    ['help srve', 'there is no command "srve". Did you mean serve?'],
    ['--demo', '--demo needs a command before it'],
    ['serve --dmeo', 'serve has no option --dmeo. Did you mean --demo?'],
    ['serve -x', 'serve has no option -x'],
    ['serve --demo=yes', '--demo takes no value'],
    ['config extra', '"extra" is one word too many'],
    ['config -- extra', '"extra" is one word too many'],
    ['admin create', '--email ADDRESS is missing'],
    ['admin create --email', '--email takes a value: --email=ADDRESS'],
    ['admin create --email --username x', '--email takes a value: --email=ADDRESS'],
    ['admin create --email=', '--email takes a value: --email=ADDRESS'],
  ])('%s: %s', async (line, message) => {
    expect(await roster(line.split(' '))).toEqual({
      code: 2,
      out: '',
      err: `roster: ${message}\nTry roster --help.\n`,
    })
  })
})

test('options reach the command as typed, even where a value starts with a dash', () => {
  const request = parseCommandLine(['admin', 'create', '--full-name', 'Ada L.', '--email=-a@b.c'], commands)
  if (request.kind !== 'run') throw new Error(request.kind)
  expect(request.command.name).toBe('admin create')
  expect(request.input.get('full-name')).toBe('Ada L.')
  expect(request.input.get('email')).toBe('-a@b.c')
  expect(request.input.has('password-stdin')).toBe(false)
})

describe('an error', () => {
  const failing = (error: unknown): Command => ({
    name: 'fail',
    summary: 'Fails',
    options: [],
    load: async () => () => Promise.reject(error),
  })

  test('is one line and exit code 1, and shows its stack only to those who debug', async () => {
    const run = async (env: Record<string, string>) => {
      const err: string[] = []
      const io: Io = {
        out() {},
        err: line => void err.push(line),
        prompt() {},
        stdin: process.stdin,
        env,
      }
      const code = await runCommandLine(['fail'], io, [failing(new Error('it broke'))])
      return { code, err: err.join('\n') }
    }
    expect(await run({})).toEqual({ code: 1, err: 'roster: it broke' })
    expect((await run({ LOG_LEVEL: 'debug' })).err).toMatch(/^roster: Error: it broke\n +at /)
  })

  test('is told in words, whatever was thrown', () => {
    expect(inWords(new AggregateError([new Error('::1 refused'), new Error('127.0.0.1 refused')]))).toBe(
      '::1 refused; 127.0.0.1 refused',
    )
    expect(inWords(Object.assign(new Error(''), { code: 'ECONNRESET' }))).toBe('ECONNRESET')
    expect(inWords(new TypeError(''))).toBe('TypeError')
    expect(inWords('text')).toBe('text')
    expect(explain(new ProblemError('email_taken'), {})).toBe('E-mail address taken')
    const errors = [
      { path: '/email', code: 'format', message: 'email takes one address' },
      { path: '/full_name', code: 'too_long', message: 'is too long' },
    ]
    expect(inWords(new ProblemError('validation_failed', { errors }))).toBe(
      'Invalid input: email takes one address; full name is too long',
    )
  })
})

describe('roster config', () => {
  const cwd = fs.mkdtempSync(join(tmpdir(), 'roster-cli-'))
  afterAll(() => fs.rmSync(cwd, { recursive: true }))

  test('prints name, value and source, hides secrets, warns, and leaves nothing behind', async () => {
    const env = { PORT: '9000', METRICS_TOKEN: 'canary', DATABSE_URL: 'canary' }
    const { code, out, err } = await roster(['config'], { cwd, env })
    expect(code).toBe(0)
    expect(out).toMatch(/^PORT +9000 +environment$/m)
    expect(out).toMatch(/^PUBLIC_URL +http:\/\/localhost:9000 +default$/m)
    expect(out).toMatch(/^METRICS_TOKEN +\*{8} +environment$/m)
    expect(err).toBe('warning: DATABSE_URL has no effect. Did you mean DATABASE_URL?\n')
    expect(out + err).not.toContain('canary')
    expect(fs.readdirSync(cwd)).toEqual([])
  })

  test('lists everything that is wrong, and exits with 1', async () => {
    const { code, err } = await roster(['config'], { cwd, env: { PORT: 'x', DB_POOL_SIZE: 'y' } })
    expect(code).toBe(1)
    expect(err).toMatch(/^roster: The configuration has 2 problems:\n {2}PORT: .*\n {2}DB_POOL_SIZE: /)
  })
})
