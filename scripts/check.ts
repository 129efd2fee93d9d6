/** Types, lint and unused code, all at once. Prints what failed, and nothing else. */
import { spawn } from 'node:child_process'
import path from 'node:path'

const programs = path.join(import.meta.dirname, '../node_modules/.bin')

const checks = [
  { name: 'types', command: ['tsc', '--noEmit', '-p', '.'] },
  { name: 'types of the pages’ script', command: ['tsc', '--noEmit', '-p', 'server/src/pages/browser'] },
  { name: 'lint', command: ['biome', 'check', '--colors=off'] },
  { name: 'unused code', command: ['knip', '--no-progress'] },
]

if (import.meta.main) process.exitCode = (await check()) ? 0 : 1

/** Returns whether all checks hold. */
export async function check(): Promise<boolean> {
  const results = await Promise.all(
    checks.map(async ({ name, command }) => ({ name, ...(await run(command)) })),
  )
  const failed = results.filter(result => result.code !== 0)
  for (const { name, command, output } of failed) {
    console.log(`Check failed: ${name} (${command})\n${output.trim()}\n`)
  }
  if (failed.length === 0)
    console.log(`Checked ${checks.map(({ name }) => name).join(', ')}: nothing to report`)
  return failed.length === 0
}

function run([program = '', ...args]: string[]): Promise<{ command: string; code: number; output: string }> {
  return new Promise(resolve => {
    const command = [program, ...args].join(' ')
    const child = spawn(path.join(programs, program), args, {
      cwd: path.join(import.meta.dirname, '..'),
      env: { ...process.env, PATH: `${programs}${path.delimiter}${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    })
    let output = ''
    const collect = (chunk: Buffer) => {
      output += chunk
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', error => resolve({ command, code: 1, output: error.message }))
    child.on('close', code => resolve({ command, code: code ?? 1, output }))
  })
}
