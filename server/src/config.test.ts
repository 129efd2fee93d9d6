import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { settingEntries } from './config/settings.ts'
import { type Config, ConfigError, configWarnings, describeConfig, loadConfig } from './config.ts'

const folder = fs.mkdtempSync(join(tmpdir(), 'roster-config-'))
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

let cwd = ''
beforeEach(() => {
  cwd = fs.mkdtempSync(join(folder, 'cwd-'))
})

const key = randomBytes(32).toString('base64')
const production = {
  ENVIRONMENT: 'production',
  PUBLIC_URL: 'https://accounts.example.com',
  ENCRYPTION_KEY: key,
  DATABASE_URL: 'postgresql://roster:pw@db.internal/roster?sslmode=verify-full',
  METRICS_TOKEN: 'mT7kQ9xVb2LpR4sWz8',
  EMAIL_PROVIDER: 'smtp',
  SMTP_URL: 'smtps://roster:pw@mail.internal',
  MAIL_FROM: 'Example <accounts@example.com>',
}

const load = (env: Record<string, string> = {}): Config => loadConfig(env, { cwd })

function refusal(env: Record<string, string>): ConfigError {
  try {
    load(env)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** The one problem that `env` has. */
function problem(env: Record<string, string>) {
  const { problems, message } = refusal(env)
  expect(problems).toHaveLength(1)
  return { ...problems[0], line: message.split('\n')[1] ?? '' }
}

describe('with nothing set', () => {
  test('it is development on this machine alone, with the documented defaults', () => {
    expect({ ...load() }).toMatchObject({
      environment: 'development',
      host: '127.0.0.1',
      port: 8000,
      publicUrl: 'http://localhost:8000',
      trustedProxies: [],
      allowedOrigins: '*',
      passkeyOrigins: [],
      brandName: 'Roster',
      dataDir: join(cwd, 'data'),
      databaseUrl: undefined,
      dbPoolSize: 10,
      dbMaxOverflow: 20,
      redisUrl: undefined,
      rabbitmqUrl: undefined,
      encryptionKey: expect.any(Buffer),
      jwtAlgorithm: 'EdDSA',
      jwtSecretKey: undefined,
      accessTokenMinutes: 30,
      refreshTokenDays: 7,
      registration: 'open',
      registrationPrivacy: false,
      reservedUsernames: [],
      requireVerifiedEmail: false,
      passwordPolicy: 'standard',
      otpHourlyLimit: 20,
      otpDailyLimit: 100,
      eraseAfterDays: 30,
      subscriptions: 'self',
      brandColor: '#2f6feb',
      emailProvider: 'mailbox',
      mailFrom: { address: 'no-reply@roster.localhost' },
      smsProvider: 'mailbox',
      rateLimits: {},
      metricsToken: undefined,
      logLevel: 'info',
    })
    expect(configWarnings(load())).toEqual([])
  })

  test('nothing of it can be changed', () => {
    const config = load({ ALLOWED_ORIGINS: 'https://a.example', RATE_LIMITS: 'login=1/s' })
    for (const part of [config, config.allowedOrigins, config.trustedProxies, config.rateLimits]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  test('an empty variable counts as not set', () => {
    expect(load({ PORT: '', DATABASE_URL: '  ' })).toMatchObject({ port: 8000, databaseUrl: undefined })
  })

  test("the public address follows the port, and production's defaults differ", () => {
    expect(load({ PORT: '9123' }).publicUrl).toBe('http://localhost:9123')
    expect(load(production)).toMatchObject({ host: '0.0.0.0', allowedOrigins: [], environment: 'production' })
  })
})

describe('values', () => {
  const hex = 'a1b2c3d4e5f60718'.repeat(4)
  test.each<[string, string, keyof Config, unknown]>([
    ['ENVIRONMENT', 'Development', 'environment', 'development'],
    ['HOST', '::1', 'host', '::1'],
    ['HOST', 'localhost', 'host', 'localhost'],
    ['PUBLIC_URL', 'https://Example.com/', 'publicUrl', 'https://example.com'],
    ['TRUSTED_PROXIES', '10.0.0.0/8, ::1', 'trustedProxies', ['10.0.0.0/8', '::1']],
    ['TRUSTED_PROXIES', 'none', 'trustedProxies', []],
    [
      'ALLOWED_ORIGINS',
      'https://A.example/,http://b.example:81',
      'allowedOrigins',
      ['https://a.example', 'http://b.example:81'],
    ],
    ['ALLOW_ORIGINS', 'https://example.com', 'allowedOrigins', ['https://example.com']],
    ['BRAND_NAME', ' Acme & Söhne ', 'brandName', 'Acme & Söhne'],
    ['DATABASE_URL', 'postgres://u:p@localhost/db', 'databaseUrl', 'postgres://u:p@localhost/db'],
    [
      'DATABASE_URL',
      'postgresql+psycopg2://user:password@localhost:5432/user_db',
      'databaseUrl',
      'postgresql://user:password@localhost:5432/user_db',
    ],
    [
      'DATABASE_URL',
      'postgresql+asyncpg://u@h/db?ssl=require',
      'databaseUrl',
      'postgresql://u@h/db?sslmode=require&uselibpqcompat=true',
    ],
    [
      'DATABASE_URL',
      'postgres://u@h/db?ssl=true',
      'databaseUrl',
      'postgres://u@h/db?sslmode=verify-full&uselibpqcompat=true',
    ],
    [
      'DATABASE_URL',
      'postgres://u@h/db?ssl=false&sslmode=require',
      'databaseUrl',
      'postgres://u@h/db?sslmode=require&uselibpqcompat=true',
    ],
    [
      'DATABASE_URL',
      'postgres://u@h/db?sslmode=verify-ca&sslrootcert=ca.pem&sslmode=disable',
      'databaseUrl',
      'postgres://u@h/db?sslmode=verify-ca&sslrootcert=ca.pem&uselibpqcompat=true',
    ],
    [
      'DATABASE_URL',
      'postgres:///db?host=/run/postgresql',
      'databaseUrl',
      'postgres:///db?host=/run/postgresql',
    ],
    ['REDIS_URL', 'rediss://:x@cache:6379/1', 'redisUrl', 'rediss://:x@cache:6379/1'],
    ['ENCRYPTION_KEY', hex, 'encryptionKey', Buffer.from(hex, 'hex')],
    ['ENCRYPTION_KEY', key, 'encryptionKey', Buffer.from(key, 'base64')],
    [
      'ENCRYPTION_KEY',
      Buffer.from(key, 'base64').toString('base64url'),
      'encryptionKey',
      Buffer.from(key, 'base64'),
    ],
    ['JWT_ALGORITHM', 'rs256', 'jwtAlgorithm', 'RS256'],
    ['REGISTRATION_PRIVACY', 'Yes', 'registrationPrivacy', true],
    ['REQUIRE_VERIFIED_EMAIL', '0', 'requireVerifiedEmail', false],
    ['RATE_LIMITS', 'OFF', 'rateLimits', 'off'],
    [
      'RATE_LIMITS',
      'login=20/min, register = 10/hour,read=5/s',
      'rateLimits',
      {
        login: { max: 20, windowMs: 60_000 },
        register: { max: 10, windowMs: 3_600_000 },
        read: { max: 5, windowMs: 1000 },
      },
    ],
    ['LOG_LEVEL', 'debug', 'logLevel', 'debug'],
  ])('%s=%s is read', (name, text, property, value) => {
    expect(load({ [name]: text })[property]).toEqual(value)
  })

  test.each([
    ['ENVIRONMENT', 'staging', 'development or production'],
    ['HOST', '10.0.0', 'no complete IP address'],
    ['HOST', 'http://x', 'host name'],
    ['PORT', '65536', '0 to 65535'],
    ['PORT', '80a', 'whole number'],
    ['PORT', '-1', 'whole number'],
    ['PUBLIC_URL', 'example.com', 'http or https'],
    ['PUBLIC_URL', 'ftp://example.com', 'http or https'],
    ['PUBLIC_URL', 'https://example.com/?a=1', 'query'],
    ['PUBLIC_URL', 'https://me@example.com', 'user'],
    ['PUBLIC_URL', 'http://localhost:0', 'where PORT is 0'],
    ['PUBLIC_URL', 'https://example.com/accounts', 'a host name of its own'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', '"10.0.0.0/33"'],
    ['TRUSTED_PROXIES', 'proxy.internal', '"proxy.internal"'],
    ['TRUSTED_PROXIES', '::/0', 'every address'],
    ['TRUSTED_PROXIES', '10.0.0.0/8,0.0.0.0/00', 'every address'],
    ['METRICS_TOKEN', 'abcdefghijklmnop123 ', 'printable ASCII'],
    ['METRICS_TOKEN', 'schlüsselwörter-abcdef', 'printable ASCII'],
    ['MAIL_TEMPLATES_DIR', '/nonexistent/templates', 'is no folder'],
    ['ALLOWED_ORIGINS', 'https://*.example.com', 'wildcard'],
    ['PASSKEY_ORIGINS', 'https://example.com', 'is no android:apk-key-hash:'],
    ['PASSKEY_ORIGINS', `android:apk-key-hash:${'A'.repeat(42)}`, 'is no android:apk-key-hash:'],
    ['PASSKEY_ORIGINS', `android:apk-key-hash:${'A'.repeat(42)}B`, 'is no android:apk-key-hash:'],
    ['PASSKEY_ORIGINS', 'android:apk-key-hash:14:6D:E9:83', 'base64url'],
    ['PASSKEY_ORIGINS', `android:apk-key-hash-sha256:${'A'.repeat(43)}`, 'is no android:apk-key-hash:'],
    ['ALLOWED_ORIGINS', 'https://example.com/app', 'no origin'],
    ['ALLOWED_ORIGINS', 'null', 'no origin'],
    ['BRAND_NAME', 'a\nBcc: b', 'one line'],
    ['DATA_DIR', 'a\0b', 'path'],
    ['DATABASE_URL', 'mysql://u@h/db', 'postgresql://'],
    ['DATABASE_URL', 'postgres://u@h', 'names no database'],
    ['DATABASE_URL', 'postgres://u@h/db?sslmode=verify_full', 'sslmode takes disable, prefer, require,'],
    ['DATABASE_URL', 'postgres://u@h/db?ssl=yes', 'sslmode takes disable, prefer, require,'],
    ['DATABASE_URL', 'postgres://u@h/db?sslmode=verify-ca', 'needs sslrootcert'],
    ['DB_POOL_SIZE', '0', '1 to 1000'],
    ['REDIS_URL', 'http://cache', 'redis://'],
    ['RABBITMQ_URL', 'localhost', 'amqp://'],
    ['ENCRYPTION_KEY', 'short', '32 random bytes'],
    ['ENCRYPTION_KEY', 'zz'.repeat(32), '32 random bytes'],
    ['JWT_ALGORITHM', 'none', 'EdDSA, ES256, RS256 or HS256'],
    ['JWT_SECRET_KEY', 'line\n', 'control character'],
    ['ACCESS_TOKEN_EXPIRE_MINUTES', '0', '1 to 1440'],
    ['REGISTRATION_PRIVACY', 'maybe', 'true or false'],
    ['RATE_LIMITS', 'login=20/day', '"login=20/day"'],
    ['RATE_LIMITS', 'login=0/min', 'no limit'],
    ['RATE_LIMITS', 'login=1/toString', 'no limit'],
    ['RATE_LIMITS', 'login=1/s,login=2/s', 'twice'],
    ['RATE_LIMITS', 'logn=1/s', 'no group "logn"'],
    ['LOG_LEVEL', 'loud', 'trace'],
  ])('%s=%j is refused with what it takes', (name, text, expected) => {
    const { name: named, line, takes } = problem({ [name]: text })
    expect(named).toBe(name)
    expect(line).toContain(expected)
    expect(takes).toBeTruthy()
  })

  test('every problem is reported at once, and what is wrong only as a consequence is not', () => {
    const { message } = refusal({ PORT: 'abc', DB_POOL_SIZE: 'many', LOG_LEVEL: 'loud' })
    expect(message.split('\n')).toEqual([
      'The configuration has 3 problems:',
      '  PORT: got "abc"; takes a whole number from 0 to 65535',
      '  DB_POOL_SIZE: got "many"; takes a whole number from 1 to 1000',
      expect.stringMatching(/^ {2}LOG_LEVEL: got "loud"; takes trace, debug, /),
    ])
  })

  test('a secret is never part of the complaint', () => {
    const { message } = refusal({
      ENCRYPTION_KEY: 'canary-one',
      DATABASE_URL: 'postgresql://u:canary-two@h',
      REDIS_URL: 'canary-three',
    })
    expect(message).not.toMatch(/canary/)
    expect(message).toContain('postgresql://u:********@h')
  })

  test('two names of one setting must agree', () => {
    expect(
      problem({ ALLOWED_ORIGINS: 'https://a.example', ALLOW_ORIGINS: 'https://b.example' }).line,
    ).toContain('ALLOWED_ORIGINS and ALLOW_ORIGINS differ')
    expect(problem({ ALLOW_ORIGINS: 'x' }).line).toContain('(given as ALLOW_ORIGINS)')
  })
})

describe('production', () => {
  test('accepts a safe configuration without a word', () => {
    expect(configWarnings(load(production))).toEqual([])
  })

  test('names everything that is missing or unsafe at once', () => {
    const { problems } = refusal({
      ENVIRONMENT: 'production',
      ALLOWED_ORIGINS: '*',
      DATABASE_URL: 'postgres://u:p@db/roster',
      JWT_ALGORITHM: 'HS256',
      JWT_SECRET_KEY: 'short',
      RATE_LIMITS: 'off',
      METRICS_TOKEN: 'changeme',
    })
    expect(problems.map(({ name }) => name).sort()).toEqual([
      'ALLOWED_ORIGINS',
      'DATABASE_URL',
      'EMAIL_PROVIDER',
      'ENCRYPTION_KEY',
      'JWT_SECRET_KEY',
      'MAIL_FROM',
      'METRICS_TOKEN',
      'PUBLIC_URL',
      'RATE_LIMITS',
    ])
    expect(fs.existsSync(join(cwd, 'data'))).toBe(false)
  })

  const random = randomBytes(32).toString('hex')
  test.each<[string, Record<string, string>, string]>([
    ['a public address without TLS', { PUBLIC_URL: 'http://accounts.example.com' }, 'https://'],
    ['a plain-text database over a network', { DATABASE_URL: 'postgres://u@db/x' }, 'plain text'],
    [
      'a database that may fall back to plain text',
      { DATABASE_URL: 'postgres://u@db/x?sslmode=prefer' },
      'plain text',
    ],
    [
      'a database host given as a parameter',
      { DATABASE_URL: 'postgres://u@localhost/x?host=db' },
      'plain text',
    ],
    ['an encryption key of one byte', { ENCRYPTION_KEY: '00'.repeat(32) }, 'not random'],
    [
      'an encryption key that counts',
      { ENCRYPTION_KEY: Buffer.from(Array.from({ length: 32 }, (_, i) => i * 3)).toString('hex') },
      'not random',
    ],
    [
      'an encryption key made of words',
      { ENCRYPTION_KEY: Buffer.from('correct horse battery staple 123').toString('base64') },
      'not random',
    ],
    ['HS256 without a secret', { JWT_ALGORITHM: 'HS256' }, 'missing'],
    [
      'HS256 with 31 bytes',
      { JWT_ALGORITHM: 'HS256', JWT_SECRET_KEY: random.slice(0, 31) },
      'shorter than 32',
    ],
    [
      'HS256 with a repeated word',
      { JWT_ALGORITHM: 'HS256', JWT_SECRET_KEY: 'password'.repeat(5) },
      'repeats',
    ],
    ['the secret of an example', { JWT_SECRET_KEY: 'your-super-secret-jwt-key' }, 'placeholder'],
    [
      'a long secret of an example',
      { JWT_ALGORITHM: 'HS256', JWT_SECRET_KEY: `changeme-${random}` },
      'placeholder',
    ],
    ['a short token for metrics', { METRICS_TOKEN: 'abcdefg' }, 'shorter than 16'],
  ])('refuses %s', (_what, env, expected) => {
    expect(problem({ ...production, ...env }).line).toContain(expected)
  })

  test.each<[string, Record<string, string>]>([
    ['this machine without TLS', { PUBLIC_URL: 'http://localhost:8000' }],
    ['exact origins', { ALLOWED_ORIGINS: 'https://app.example.com' }],
    ['a database on this machine', { DATABASE_URL: 'postgres://u@127.0.0.1/x' }],
    ['a database behind a socket', { DATABASE_URL: 'postgres:///x?host=/run/postgresql' }],
    ['HS256 with a random secret', { JWT_ALGORITHM: 'HS256', JWT_SECRET_KEY: random }],
    ['TLS to Redis and RabbitMQ', { REDIS_URL: 'rediss://cache', RABBITMQ_URL: 'amqps://broker' }],
  ])('accepts %s', (_what, env) => {
    expect(configWarnings(load({ ...production, ...env }))).toEqual([])
  })

  test.each<[string, Record<string, string>, string]>([
    ['the embedded database', { DATABASE_URL: '' }, 'DATABASE_URL not set'],
    ['closed metrics', { METRICS_TOKEN: '' }, 'METRICS_TOKEN not set'],
    ['an origin without TLS', { ALLOWED_ORIGINS: 'http://app.example.com' }, 'not https'],
    ['a secret that nothing uses', { JWT_SECRET_KEY: random }, 'no effect'],
    [
      'a database whose certificate is not checked',
      { DATABASE_URL: 'postgresql://roster:pw@db.internal/roster?sslmode=require' },
      'checks no certificate',
    ],
    ['Redis in plain text', { REDIS_URL: 'redis://cache' }, 'plain text'],
  ])('starts with a warning about %s', (_what, env, expected) => {
    const warnings = configWarnings(load({ ...production, ...env }))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(expected)
  })
})

describe('development warns of', () => {
  test.each<[string, Record<string, string>, string]>([
    ['an address that others can reach', { HOST: '0.0.0.0' }, 'other machines'],
    ["document examples' secret with no use", { JWT_SECRET_KEY: 'your-secret-key' }, 'no effect'],
    ['a weak shared secret', { JWT_ALGORITHM: 'HS256', JWT_SECRET_KEY: 'short' }, 'shorter than 32'],
    ['a slip in a name', { DATABSE_URL: 'x' }, 'Did you mean DATABASE_URL?'],
    ['a slip in an alias', { ALLOW_ORIGIN: 'x' }, 'Did you mean ALLOW_ORIGINS?'],
    ['a name in small letters', { database_url: 'x' }, 'Did you mean DATABASE_URL?'],
  ])('%s', (_what, env, expected) => {
    expect(configWarnings(load(env))).toEqual([expect.stringContaining(expected)])
  })

  test('nothing where variables are simply not ours', () => {
    expect(
      configWarnings(load({ HOME: '/root', PATH: '/bin', HOSTNAME: 'h', SPORT: '1', npm_config_x: '1' })),
    ).toEqual([])
  })
})

describe('a .env file', () => {
  test('is read, and loses against real variables', () => {
    fs.writeFileSync(join(cwd, '.env'), '# mine\nPORT=9001\nBRAND_NAME="From file"\nLOG_LEVLE=debug\n')
    const config = load({ PORT: '9002' })
    expect(config).toMatchObject({ port: 9002, brandName: 'From file' })
    expect(configWarnings(config)).toEqual(['LOG_LEVLE has no effect. Did you mean LOG_LEVEL?'])
    expect(loadConfig({}, { cwd, dotenv: false }).brandName).toBe('Roster')
  })

  test('decides the environment as well, and is named when it is at fault', () => {
    fs.writeFileSync(join(cwd, '.env'), 'ENVIRONMENT=production\nPORT=x\n')
    const { message } = refusal({})
    expect(message).toContain('PORT: got "x" from .env')
    expect(message).toContain('PUBLIC_URL: missing')
  })

  test('that cannot be read stops the start', () => {
    fs.mkdirSync(join(cwd, '.env'))
    expect(problem({}).line).toContain('.env')
  })

  test('may begin with a byte order mark, and is refused in UTF-16', () => {
    fs.writeFileSync(join(cwd, '.env'), '\ufeffPORT=9001\n')
    expect(load({}).port).toBe(9001)
    fs.writeFileSync(join(cwd, '.env'), Buffer.from('\ufeffPORT=9001\n', 'utf16le'))
    expect(problem({}).line).toContain('no text in UTF-8')
  })
})

describe('what is shown', () => {
  test('lists every setting with its source, and no secret', () => {
    fs.writeFileSync(join(cwd, '.env'), 'LOG_LEVEL=warn\n')
    const rows = describeConfig(
      load({
        DATABASE_URL: 'postgres://u:canary@h/db?password=canary',
        METRICS_TOKEN: 'canary',
        RATE_LIMITS: 'login=20/min,read=1/h,write=2/s',
        TRUSTED_PROXIES: '10.0.0.1,10.0.0.2',
      }),
    )
    expect(JSON.stringify(rows)).not.toContain('canary')
    expect(rows).toHaveLength(settingEntries().length)
    expect(rows).toEqual(
      expect.arrayContaining([
        {
          name: 'DATABASE_URL',
          value: 'postgres://u:********@h/db?password=********',
          source: 'environment',
        },
        { name: 'METRICS_TOKEN', value: '********', source: 'environment' },
        { name: 'ENCRYPTION_KEY', value: '********', source: 'generated' },
        { name: 'RATE_LIMITS', value: 'login=20/min,read=1/hour,write=2/s', source: 'environment' },
        { name: 'TRUSTED_PROXIES', value: '10.0.0.1,10.0.0.2', source: 'environment' },
        { name: 'LOG_LEVEL', value: 'warn', source: '.env' },
        { name: 'PORT', value: '8000', source: 'default' },
        { name: 'REDIS_URL', value: '', source: 'not set' },
        { name: 'ALLOWED_ORIGINS', value: '*', source: 'default' },
      ]),
    )
  })

  test('a printed or serialised configuration hides its secrets', () => {
    const config = load({ REDIS_URL: 'redis://:canary@h/0', ENCRYPTION_KEY: key, JWT_SECRET_KEY: 'canary' })
    for (const text of [inspect(config, { depth: 9 }), JSON.stringify(config), JSON.stringify({ config })]) {
      expect(text).toContain('8000')
      expect(text).not.toMatch(/canary|Buffer/)
      expect(text).not.toContain(key)
    }
  })

  test('a configuration put together by hand can be described too', () => {
    const byHand = { ...load(), port: 1 }
    expect(describeConfig(byHand)).toContainEqual({ name: 'PORT', value: '1', source: 'code' })
    expect(configWarnings(byHand)).toEqual([])
  })
})

describe('generated secrets', () => {
  const file = () => join(cwd, 'data', 'secrets.json')
  const mode = (path: string) => fs.statSync(path).mode & 0o777

  test('are made once, for this user alone, and stay', () => {
    const first = load().encryptionKey
    expect(first).toHaveLength(32)
    expect(load().encryptionKey).toEqual(first)
    expect(mode(file())).toBe(0o600)
    expect(mode(join(cwd, 'data'))).toBe(0o700)
    expect(fs.readdirSync(join(cwd, 'data'))).toEqual(['secrets.json'])
  })

  test('are not made where a key is given, or where nothing may be written', () => {
    load({ ENCRYPTION_KEY: key })
    expect(loadConfig({}, { cwd, writeSecrets: false }).encryptionKey).toHaveLength(32)
    expect(fs.existsSync(join(cwd, 'data'))).toBe(false)
  })

  test('are closed to other users again when someone opened them', () => {
    load()
    fs.chmodSync(file(), 0o644)
    expect(configWarnings(load())).toEqual([expect.stringContaining('open to other users (mode 0644)')])
    expect(mode(file())).toBe(0o600)
    expect(configWarnings(load())).toEqual([])
  })

  test('are read, but neither made nor changed, by those who only look', () => {
    const { encryptionKey } = load()
    fs.chmodSync(file(), 0o640)
    const looked = loadConfig({}, { cwd, writeSecrets: false })
    expect(looked.encryptionKey).toEqual(encryptionKey)
    expect(configWarnings(looked)).toEqual([expect.stringContaining('open to other users (mode 0640)')])
    expect(mode(file())).toBe(0o640)
  })

  test.each([
    ['no JSON', '{"ENCRYPTION_KEY": "abc'],
    ['empty', ''],
    ['no object', '[]'],
    ['without the key', '{}'],
    ['a number', '{"ENCRYPTION_KEY": 5}'],
  ])('that are damaged (%s) are refused, not replaced', (_what, text) => {
    fs.mkdirSync(join(cwd, 'data'))
    fs.writeFileSync(file(), text, { mode: 0o600 })
    expect(problem({}).line).toMatch(/secrets\.json is damaged/)
    expect(fs.readFileSync(file(), 'utf8')).toBe(text)
  })

  test('that hold a bad key are refused without showing it', () => {
    fs.mkdirSync(join(cwd, 'data'))
    fs.writeFileSync(file(), '{"ENCRYPTION_KEY": "canary"}', { mode: 0o600 })
    expect(problem({}).line).toMatch(/^ {2}ENCRYPTION_KEY: wrong in .*secrets\.json; takes 32/)
    expect(problem({}).line).not.toContain('canary')
  })

  test('are never read through a link, or from what is no file', () => {
    fs.mkdirSync(join(cwd, 'data'))
    fs.symlinkSync('/etc/passwd', file())
    expect(problem({}).line).toContain('not a regular file')
  })

  test('explain themselves where the folder cannot be made', () => {
    fs.writeFileSync(join(cwd, 'data'), 'a file')
    expect(problem({}).line).toMatch(/DATA_DIR: .*(ENOTDIR|EEXIST)/)
  })

  test('are the same for 20 processes that start at once', async () => {
    const script = `import { loadConfig } from ${JSON.stringify(new URL('./config.ts', import.meta.url).href)}
      process.stdin.once('data', () => {
        process.stdout.write(loadConfig({}, { cwd: ${JSON.stringify(cwd)} }).encryptionKey.toString('hex'))
        process.exit()
      })
      process.stdout.write('ready ')`
    const children = Array.from({ length: 20 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const outputs = children.map(() => '')
    await Promise.all(
      children.map(
        (child, i) =>
          new Promise<void>(ready => {
            child.stdout.on('data', chunk => {
              outputs[i] += String(chunk)
              ready()
            })
          }),
      ),
    )
    const ended = children.map(child => new Promise(done => child.on('close', done)))
    for (const child of children) child.stdin.end('go')
    await Promise.all(ended)
    expect(new Set(outputs)).toEqual(new Set([`ready ${load().encryptionKey.toString('hex')}`]))
    expect(fs.readdirSync(join(cwd, 'data'))).toEqual(['secrets.json'])
  })
})
