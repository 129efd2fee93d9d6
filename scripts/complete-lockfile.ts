/**
 * Run after `npm install` against a registry that mirrors one platform only: npm then leaves the optional
 * packages of the other platforms out of package-lock.json, and `npm ci` refuses such a file everywhere.
 * Adds them by the exact version that their dependents name; their hashes come with the next install that
 * can see them.
 */
import fs from 'node:fs'

type Locked = {
  version?: string
  dev?: boolean
  optionalDependencies?: Record<string, string>
  [field: string]: unknown
}

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const processors = ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64']

if (import.meta.main) {
  const file = new URL('../package-lock.json', import.meta.url)
  // The shape is npm's, lockfileVersion 3.
  const lock = JSON.parse(fs.readFileSync(file, 'utf8')) as { packages: Record<string, Locked> }
  const missing = missingPackages(lock.packages)
  lock.packages = Object.fromEntries(
    Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
  fs.writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
  console.log(`Added ${Object.keys(missing).length} packages of other platforms`)
}

/** The optional packages that some locked package names, and that have no entry. */
export function missingPackages(packages: Record<string, Locked>): Record<string, Locked> {
  const missing: Record<string, Locked> = {}
  for (const [dependent, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isLocked(packages, dependent, name)) continue
      const parts = name.split(/[/-]/)
      const libc = parts.some(part => part.startsWith('musl')) ? 'musl' : 'glibc'
      const os = systems.filter(system => parts.includes(system))
      missing[`node_modules/${name}`] = {
        version,
        cpu: processors.filter(processor => parts.includes(processor)),
        ...(entry.dev ? { dev: true } : {}),
        ...(os[0] === 'linux' ? { libc: [libc] } : {}),
        optional: true,
        os,
      }
    }
  }
  return missing
}

/** Looks where Node would: in the dependent's own node_modules, then in those above it. */
function isLocked(packages: Record<string, Locked>, dependent: string, name: string): boolean {
  const place = `${dependent === '' ? '' : `${dependent}/`}node_modules/${name}`
  if (packages[place]) return true
  if (dependent === '') return false
  const parent = dependent.lastIndexOf('/node_modules/')
  return isLocked(packages, parent === -1 ? '' : dependent.slice(0, parent), name)
}
