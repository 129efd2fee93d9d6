import fs from 'node:fs'
import { expect, test } from 'vitest'
import { missingPackages } from './complete-lockfile.ts'

test('package-lock.json names the optional packages of every platform (else run scripts/complete-lockfile.ts)', () => {
  const lock = JSON.parse(fs.readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
  expect(Object.keys(missingPackages(lock.packages))).toEqual([])
})

test('an optional package without an entry is added with the platform that its name tells', () => {
  const packages = {
    'node_modules/tool': {
      dev: true,
      optionalDependencies: { '@tool/linux-x64-musl': '1.2.3', '@tool/win32-arm64': '1.2.3', own: '1.0.0' },
    },
    'node_modules/tool/node_modules/own': { version: '1.0.0' },
  }
  const common = { version: '1.2.3', dev: true, optional: true }
  expect(missingPackages(packages)).toEqual({
    'node_modules/@tool/linux-x64-musl': { ...common, os: ['linux'], cpu: ['x64'], libc: ['musl'] },
    'node_modules/@tool/win32-arm64': { ...common, os: ['win32'], cpu: ['arm64'] },
  })
})
