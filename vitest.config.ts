import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: ['server/src/testing/global-setup.ts'],
    include: ['{server,client,examples,bench,scripts}/**/*.test.ts'],
    // Files run as they are, by Node's own loader, and share what they import: loading the service costs a second.
    experimental: { viteModuleRunner: false },
    isolate: false,
    maxWorkers: 2,
    // Limits end what hangs, and nothing else: a machine under a load of many times its cores still gets there.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    coverage: {
      provider: 'v8',
      include: ['server/src/**/*.ts'],
      exclude: [
        'server/src/**/*.test.ts',
        'server/src/testing/**',
        // These run as programs of their own, and are tested so: coverage sees only the tests' own process.
        'server/src/{cli,main,process-group}.ts',
        'server/src/cli/serve.ts',
        'server/src/hashing/worker.ts',
      ],
      thresholds: { lines: 90, branches: 90 },
    },
  },
})
