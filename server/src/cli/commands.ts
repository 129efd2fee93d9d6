import type { Command } from './command.ts'

/** Every command of `roster`, in the order in which the help lists them. */
export const commands: readonly Command[] = [
  {
    name: 'serve',
    summary: 'Start the service',
    details: 'Ctrl-C, or SIGTERM, ends it once the requests in flight are answered.',
    options: [{ name: 'demo', about: 'Fill an empty database with users to look at' }],
    load: async () => (await import('./serve.ts')).serve,
  },
  {
    name: 'config',
    summary: 'Show the configuration in effect and where it comes from, secrets hidden',
    options: [],
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'doctor',
    summary: 'Check the machine, the configuration and the database',
    details: 'Changes nothing. Exits with 1 where something would keep the service from working.',
    options: [],
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'migrate',
    summary: "Bring the database to this version's schema",
    details: 'The service does so itself when it starts.',
    options: [{ name: 'dry-run', about: 'Show which files would be applied, and apply none' }],
    load: async () => (await import('./migrate.ts')).migrateDatabase,
  },
  {
    name: 'admin create',
    summary: 'Create an administrator',
    details: 'The password is asked for, or read from standard input.',
    options: [
      { name: 'email', value: 'ADDRESS', about: 'Their e-mail address', required: true },
      { name: 'username', value: 'NAME', about: 'Made from the address if left out' },
      { name: 'full-name', value: 'NAME', about: 'Their full name' },
      { name: 'password-stdin', about: 'Read the password from standard input, up to the first line break' },
    ],
    load: async () => (await import('./admin.ts')).createAdministrator,
  },
  {
    name: 'audit verify',
    summary: 'Check that no row of the audit log was changed, removed, put in or cut off',
    details: 'Names the rows and seals at fault, and exits with 1 where there are any.',
    options: [
      {
        name: 'head',
        value: 'END',
        about: 'The end that an earlier verification printed; the log must still go through it',
      },
    ],
    load: async () => (await import('./audit.ts')).verifyAuditLog,
  },
  {
    name: 'keys rotate',
    summary: 'Make a new key to sign access tokens with, or to encrypt with',
    details:
      'A signing key is published at once and signs after ten minutes. Earlier keys verify until their tokens expire.',
    options: [
      {
        name: 'encryption',
        about:
          'Instead, put ENCRYPTION_KEY in the place of ENCRYPTION_KEY_PREVIOUS, and encrypt secrets with a new key',
      },
      {
        name: 'immediately',
        about: 'Sign with it now and believe no earlier token any more, for a key that leaked',
      },
    ],
    load: async () => (await import('./keys.ts')).rotateKeys,
  },
  {
    name: 'demo remove',
    summary: 'Remove the users that `serve --demo` made',
    options: [],
    load: async () => (await import('./demo.ts')).removeDemo,
  },
]
