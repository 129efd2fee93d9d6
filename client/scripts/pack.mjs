import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

/*
 * Before and after `npm pack` and `npm publish`. In this repository the exports are the TypeScript itself, which
 * Node refuses to run from node_modules; in the package they are what `build` made of it.
 */

const folder = path.join(import.meta.dirname, '..')
const manifest = path.join(folder, 'package.json')
const kept = path.join(folder, 'package.json.kept')

function build() {
  rmSync(path.join(folder, 'dist'), { recursive: true, force: true })
  const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript')), '../bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', path.join(folder, 'tsconfig.build.json')], { stdio: 'inherit' })
  // The compiler rewrites the imports of the JavaScript, not those of the types.
  for (const file of globSync('dist/**/*.d.ts', { cwd: folder })) {
    const text = readFileSync(path.join(folder, file), 'utf8')
    writeFileSync(path.join(folder, file), text.replace(/((?:from |import\()'\.[^']*)\.ts'/g, "$1.js'"))
  }
  copyFileSync(manifest, kept)
  const { scripts, devDependencies, exports, ...rest } = JSON.parse(readFileSync(manifest, 'utf8'))
  const built = Object.fromEntries(Object.entries(exports).map(([entry, source]) => [entry, builtOf(source)]))
  writeFileSync(manifest, `${JSON.stringify({ ...rest, exports: built }, null, 2)}\n`)
}

const builtOf = source => {
  const file = source.replace('./src/', './dist/')
  return { types: file.replace(/\.ts$/, '.d.ts'), default: file.replace(/\.ts$/, '.js') }
}

if (process.argv[2] === 'build') build()
else renameSync(kept, manifest)
