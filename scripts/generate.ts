/** Writes the files that follow from the code; with `--check` writes nothing and fails where one is stale. */
import { mkdir, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { compareFiles, difference, isStale } from './generated-files.ts'

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const stale = (await compareFiles()).filter(isStale)

for (const comparison of stale) {
  if (values.check) {
    console.error(`${difference(comparison)}\n`)
  } else {
    await mkdir(new URL('.', comparison.path), { recursive: true })
    await writeFile(comparison.path, comparison.fresh)
    console.log(`wrote ${comparison.file}`)
  }
}

if (values.check && stale.length > 0) {
  console.error('Generated files are stale: run `npm run generate` and commit them.')
  process.exitCode = 1
}
