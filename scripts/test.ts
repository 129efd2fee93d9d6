/**
 * npm test: the checks, then every test with coverage. With arguments (npm test -- users), Vitest alone gets
 * them. The last line sums up; the exit code is not 0 on any failure.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { check } from './check.ts'
import { installServers } from './test-servers.ts'

const root = path.join(import.meta.dirname, '..')
const args = process.argv.slice(2)
const isWhole = args.length === 0

const missing = installServers()
const isFailedByServers = missing.length > 0 && process.env.CI === 'true'
const isChecked = isWhole ? await check() : true
const { code, summary } = await runVitest(isWhole ? ['--coverage'] : args)

if (!isChecked) console.log('The checks failed: see the start of this output.')
for (const server of missing) {
  console.log(
    `${isFailedByServers ? 'FAILED' : 'SKIPPED'}: the tests that need ${server}, which is not installed`,
  )
}
console.log(summary)
process.exitCode = code === 0 && isChecked && !isFailedByServers ? 0 : 1

async function runVitest(extra: readonly string[]): Promise<{ code: number; summary: string }> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-results-'))
  const results = path.join(folder, 'results.json')
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`]
  try {
    const code = await run([vitest, 'run', ...reporters, ...extra])
    return { code, summary: summarise(fs.existsSync(results) ? fs.readFileSync(results, 'utf8') : undefined) }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Waits for Vitest to clean up also when this process is told to end. */
function run(nodeArguments: readonly string[]): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, nodeArguments, {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
      },
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
    child.on('close', code => resolve(code ?? 1))
  })
}

/** One line from Vitest's JSON report. A file that could not even be loaded counts as one failure. */
function summarise(json: string | undefined): string {
  if (json === undefined) return '0 passed, 1 failed'
  // The shape is Vitest's (and Jest's) JSON reporter's.
  const report = JSON.parse(json) as {
    numPassedTests: number
    numFailedTests: number
    numPendingTests: number
    numTodoTests: number
    testResults: { status: string; assertionResults: { status: string }[] }[]
  }
  const broken = report.testResults.filter(
    file => file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed'),
  )
  const skipped = report.numPendingTests + report.numTodoTests
  const counts = `${report.numPassedTests} passed, ${report.numFailedTests + broken.length} failed`
  return skipped > 0 ? `${counts}, ${skipped} skipped` : counts
}
