import { randomBytes } from 'node:crypto'
import {
  checkDatabaseUrl,
  checkEncryptionKey,
  checkFolder,
  checkHost,
  checkImageFile,
  checkJwtSecret,
  checkMetricsToken,
  checkOrigins,
  checkPlainText,
  checkProxies,
  checkPublicUrl,
  checkRateLimits,
} from './checks.ts'
import {
  checkEmailProvider,
  checkResendKey,
  checkSmsProvider,
  checkSmtpUrl,
  checkTwilio,
} from './delivery-checks.ts'
import {
  color,
  imageUrl,
  mailAddress,
  sender,
  smsSender,
  twilioAccount,
  webAddress,
} from './delivery-parsers.ts'
import {
  appOrigins,
  baseUrl,
  boolean,
  databaseUrl,
  headerText,
  host,
  integer,
  key256,
  line,
  networks,
  oneOf,
  origins,
  path,
  rateLimits,
  secretText,
  serviceUrl,
  usernames,
  workers,
} from './parsers.ts'
import { optional, required, type Setting } from './setting.ts'

/**
 * Every variable that the service reads. Validation, the type of the Config, `roster config` and
 * docs/configuration.md follow from this table; a new setting is a new entry and nothing else.
 */
export const settings = {
  ENVIRONMENT: required({
    key: 'environment',
    group: 'Service',
    ...oneOf('development', 'production'),
    default: 'development',
    about: 'Chooses the other defaults, and whether unsafe values are refused.',
  }),
  HOST: required({
    key: 'host',
    group: 'Service',
    ...host,
    default: { development: '127.0.0.1', production: '0.0.0.0' },
    about: 'Where the service listens.',
    check: checkHost,
  }),
  PORT: required({
    key: 'port',
    group: 'Service',
    ...integer(0, 65_535),
    default: '8000',
    about: 'The TCP port it listens on; 0 takes any free one, and then PUBLIC_URL must be given.',
  }),
  PUBLIC_URL: required({
    key: 'publicUrl',
    group: 'Service',
    ...baseUrl,
    default: { development: 'http://localhost:$PORT' },
    about: 'The address under which people reach the service. Every link in a mail starts with it.',
    rule: 'Starts with `https://`, except on this machine itself.',
    check: checkPublicUrl,
  }),
  TRUSTED_PROXIES: required({
    key: 'trustedProxies',
    group: 'Service',
    ...networks,
    default: 'none',
    about: 'Proxies whose `X-Forwarded-For` is believed. From anyone else it is ignored.',
    check: checkProxies,
  }),
  ALLOWED_ORIGINS: required({
    key: 'allowedOrigins',
    aliases: ['ALLOW_ORIGINS'],
    group: 'Service',
    ...origins,
    default: { development: '*', production: 'none' },
    about:
      'Web origins whose pages may call the API from a browser (CORS). In development any origin may; those that are listed, and pages of this machine, also in browser mode.',
    rule: 'No wildcard.',
    check: checkOrigins,
  }),
  PASSKEY_ORIGINS: required({
    key: 'passkeyOrigins',
    group: 'Service',
    ...appOrigins,
    default: 'none',
    about:
      'Android apps that may register passkeys and sign in with them. Pages may from PUBLIC_URL and ALLOWED_ORIGINS.',
  }),
  BRAND_NAME: required({
    key: 'brandName',
    group: 'Service',
    ...line(100),
    default: 'Roster',
    about: 'The name of your product, as users see it.',
  }),
  BRAND_LOGO_URL: optional({
    key: 'brandLogoUrl',
    group: 'Service',
    ...imageUrl,
    about: 'Your logo, shown on top of mails and pages in place of the name. A PNG, at least 80 pixels high.',
  }),
  BRAND_LOGO_FILE: optional({
    key: 'brandLogoFile',
    group: 'Service',
    ...path,
    about:
      'Your logo as a file (SVG, PNG or WebP), which the pages show from this service, in place of BRAND_LOGO_URL.',
    check: checkImageFile,
  }),
  BRAND_COLOR: required({
    key: 'brandColor',
    group: 'Service',
    ...color,
    default: '#2f6feb',
    about:
      'The colour of buttons and links. Pages make it lighter or darker where it could not be read; text on it is light or dark, whichever can be read.',
  }),
  TERMS_URL: optional({
    key: 'termsUrl',
    group: 'Service',
    ...webAddress,
    about: 'Your terms of use. The pages link to them, and registering says that one agrees.',
  }),
  PRIVACY_URL: optional({
    key: 'privacyUrl',
    group: 'Service',
    ...webAddress,
    about: 'Your privacy notice. The pages link to it.',
  }),
  SUPPORT_EMAIL: optional({
    key: 'supportEmail',
    group: 'Service',
    ...mailAddress,
    about: 'Where people ask for help. The pages link to it.',
  }),
  APP_URL: optional({
    key: 'appUrl',
    group: 'Service',
    ...webAddress,
    defaultNote: 'the account page',
    about:
      'Where your application is: pages and mails lead there when their work is done, and so does a sign-in that was not asked for by another page.',
  }),
  LOCALES_DIR: optional({
    key: 'localesDir',
    group: 'Service',
    ...path,
    about:
      'Folder with further languages of pages and mails, a file each, such as `fr.json`. English and German are built in. See `docs/brand.md`.',
    check: checkFolder,
  }),
  DATA_DIR: required({
    key: 'dataDir',
    group: 'Storage',
    ...path,
    default: 'data',
    about: 'Folder of the embedded PostgreSQL and of the generated secrets.',
  }),
  DATABASE_URL: optional({
    key: 'databaseUrl',
    group: 'Storage',
    ...databaseUrl,
    secret: 'password',
    defaultNote: 'embedded PostgreSQL',
    about:
      'PostgreSQL 14 or newer. Without it, a PostgreSQL in DATA_DIR is started and stopped with the service. `postgresql+psycopg2://` and `postgresql+asyncpg://` are understood.',
    rule: 'With a host other than this machine, `sslmode` is `require`, `verify-ca` or `verify-full`.',
    check: checkDatabaseUrl,
  }),
  DB_POOL_SIZE: required({
    key: 'dbPoolSize',
    group: 'Storage',
    ...integer(1, 1000),
    default: '10',
    about: 'Connections to PostgreSQL that one process keeps.',
  }),
  DB_MAX_OVERFLOW: required({
    key: 'dbMaxOverflow',
    group: 'Storage',
    ...integer(0, 1000),
    default: '20',
    about: 'Connections that one process opens beyond DB_POOL_SIZE under load.',
  }),
  REDIS_URL: optional({
    key: 'redisUrl',
    group: 'Storage',
    ...serviceUrl('redis', 'rediss'),
    secret: 'password',
    about: 'Shares request limits and cached users between processes.',
    check: checkPlainText,
  }),
  RABBITMQ_URL: optional({
    key: 'rabbitmqUrl',
    group: 'Storage',
    ...serviceUrl('amqp', 'amqps'),
    secret: 'password',
    about: 'Receives every event.',
    check: checkPlainText,
  }),
  EVENT_RETENTION_DAYS: required({
    key: 'eventRetentionDays',
    group: 'Storage',
    ...integer(1, 365),
    default: '7',
    about:
      'Days for which events can be replayed from the feed. What a broker or webhook still has to be handed is kept for longer.',
  }),
  WEBHOOK_PRIVATE_NETWORKS: required({
    key: 'webhookPrivateNetworks',
    group: 'Storage',
    ...networks,
    default: 'none',
    about:
      'Networks that are not public into which webhooks may be sent all the same, by http too. Every other private address is refused.',
  }),
  ENCRYPTION_KEY: required({
    key: 'encryptionKey',
    group: 'Secrets and tokens',
    ...key256,
    secret: 'all',
    generate: () => randomBytes(32).toString('base64'),
    about:
      'Encrypts signing keys and other secrets in the database. Whoever loses it loses those: keep a copy.',
    rule: 'Random, and the same in every process.',
    check: checkEncryptionKey,
  }),
  ENCRYPTION_KEY_PREVIOUS: optional({
    key: 'previousEncryptionKey',
    group: 'Secrets and tokens',
    ...key256,
    secret: 'all',
    about:
      'The ENCRYPTION_KEY before the present one, until `roster keys rotate --encryption` has put the present one in its place everywhere.',
  }),
  JWT_ALGORITHM: required({
    key: 'jwtAlgorithm',
    group: 'Secrets and tokens',
    ...oneOf('EdDSA', 'ES256', 'RS256', 'HS256'),
    default: 'EdDSA',
    about:
      'Signs access tokens. `HS256` needs JWT_SECRET_KEY and is for services that still share a secret; the others verify with the public keys of `/.well-known/jwks.json`.',
  }),
  JWT_SECRET_KEY: optional({
    key: 'jwtSecretKey',
    group: 'Secrets and tokens',
    ...secretText,
    secret: 'all',
    about: 'The shared secret of `JWT_ALGORITHM=HS256`, needed there and unused elsewhere.',
    rule: 'At least 32 bytes, no placeholder, not a few characters repeated.',
    check: checkJwtSecret,
  }),
  ACCESS_TOKEN_EXPIRE_MINUTES: required({
    key: 'accessTokenMinutes',
    group: 'Secrets and tokens',
    ...integer(1, 1440),
    default: '30',
    about: 'Lifetime of an access token, in minutes.',
  }),
  REFRESH_TOKEN_EXPIRE_DAYS: required({
    key: 'refreshTokenDays',
    group: 'Secrets and tokens',
    ...integer(1, 3650),
    default: '7',
    about: 'Lifetime of a refresh token, in days: a session that rests for longer ends.',
  }),
  SESSION_MAX_DAYS: required({
    key: 'sessionMaxDays',
    group: 'Secrets and tokens',
    ...integer(1, 3650),
    default: '90',
    about: 'Days after its sign-in or step-up at which a session ends, however much it is used.',
  }),
  REGISTRATION: required({
    key: 'registration',
    group: 'Accounts',
    ...oneOf('open', 'closed'),
    default: 'open',
    about: 'Whether anyone may register. When closed, administrators create the users.',
  }),
  REGISTRATION_PRIVACY: required({
    key: 'registrationPrivacy',
    group: 'Accounts',
    ...boolean,
    default: 'false',
    about:
      'When true, registration never tells whether an address has an account: the reply is always 202, and the owner of a taken address gets a mail.',
  }),
  RESERVED_USERNAMES: required({
    key: 'reservedUsernames',
    group: 'Accounts',
    ...usernames,
    default: 'none',
    about:
      'Usernames that nobody gets, beside those that are built in, such as `admin`, `null` and `no-reply`. Case, “.”, “_” and “-” don’t count. Whoever has one already keeps it.',
  }),
  REQUIRE_VERIFIED_EMAIL: required({
    key: 'requireVerifiedEmail',
    group: 'Accounts',
    ...boolean,
    default: 'false',
    about: 'When true, only users with a verified e-mail address can sign in.',
  }),
  PASSWORD_POLICY: required({
    key: 'passwordPolicy',
    group: 'Accounts',
    ...oneOf('standard', 'nist'),
    default: 'standard',
    about:
      '`standard`: at least 8 characters with upper case, lower case and a digit. `nist`: at least 15 characters of any kind, 8 for whom a role demands a second factor (NIST SP 800-63B-4). Both refuse common passwords.',
  }),
  OTP_HOURLY_LIMIT: required({
    key: 'otpHourlyLimit',
    group: 'Accounts',
    ...integer(1, 1000),
    default: { development: '20', production: '10' },
    about: 'One-time codes and links that one address is sent in any 60 minutes, whatever they are for.',
  }),
  OTP_DAILY_LIMIT: required({
    key: 'otpDailyLimit',
    group: 'Accounts',
    ...integer(1, 1000),
    default: { development: '100', production: '50' },
    about: 'The same for any 24 hours.',
  }),
  ERASE_AFTER_DAYS: required({
    key: 'eraseAfterDays',
    group: 'Accounts',
    ...integer(0, 3650),
    default: '30',
    about: 'Days after which a deleted user is erased. Until then they can be restored.',
  }),
  SUBSCRIPTIONS: required({
    key: 'subscriptions',
    group: 'Accounts',
    ...oneOf('self', 'managed'),
    default: { development: 'self', production: 'managed' },
    about:
      'Who changes subscriptions: `self` lets users switch premium on and off, `managed` leaves it to holders of `subscriptions:manage` and to billing systems.',
  }),
  EMAIL_PROVIDER: required({
    key: 'emailProvider',
    group: 'Mail and SMS',
    ...oneOf('resend', 'smtp', 'mailbox'),
    default: { development: 'mailbox' },
    about: 'What sends mail. With `mailbox` nothing leaves, and `/dev/mailbox` shows every message.',
    rule: 'Not `mailbox`.',
    check: checkEmailProvider,
  }),
  RESEND_API_KEY: optional({
    key: 'resendApiKey',
    group: 'Mail and SMS',
    ...secretText,
    secret: 'all',
    about: 'Needed by `EMAIL_PROVIDER=resend`.',
    check: checkResendKey,
  }),
  SMTP_URL: optional({
    key: 'smtpUrl',
    group: 'Mail and SMS',
    ...serviceUrl('smtp', 'smtps'),
    secret: 'password',
    about:
      'Needed by `EMAIL_PROVIDER=smtp`: `smtps://user:password@host` (TLS from the start, port 465) or `smtp://user:password@host:587` (STARTTLS). Amazon SES works through it.',
    rule: 'TLS is demanded, except to this machine itself.',
    check: checkSmtpUrl,
  }),
  MAIL_FROM: required({
    key: 'mailFrom',
    group: 'Mail and SMS',
    ...sender,
    default: { development: 'no-reply@roster.localhost' },
    about: 'The sender of every mail. Without a name, BRAND_NAME stands before the address.',
  }),
  MAIL_TEMPLATES_DIR: optional({
    key: 'mailTemplatesDir',
    group: 'Mail and SMS',
    ...path,
    about: 'Folder of your own mail templates; what is not there is built in. See `docs/mail.md`.',
    check: checkFolder,
  }),
  SMS_PROVIDER: required({
    key: 'smsProvider',
    group: 'Mail and SMS',
    ...oneOf('twilio', 'mailbox', 'none'),
    default: { development: 'mailbox', production: 'none' },
    about: 'What sends text messages. With `none`, whatever needs one answers `sms_unavailable`.',
    rule: 'Not `mailbox`.',
    check: checkSmsProvider,
  }),
  TWILIO_ACCOUNT_SID: optional({
    key: 'twilioAccountSid',
    group: 'Mail and SMS',
    ...twilioAccount,
    about: 'Needed by `SMS_PROVIDER=twilio`.',
    check: checkTwilio('TWILIO_ACCOUNT_SID'),
  }),
  TWILIO_AUTH_TOKEN: optional({
    key: 'twilioAuthToken',
    group: 'Mail and SMS',
    ...secretText,
    secret: 'all',
    about: 'Needed by `SMS_PROVIDER=twilio`; also proves that a call to `/twilio/…` comes from Twilio.',
    check: checkTwilio('TWILIO_AUTH_TOKEN'),
  }),
  TWILIO_FROM: optional({
    key: 'twilioFrom',
    group: 'Mail and SMS',
    ...smsSender,
    about: 'Needed by `SMS_PROVIDER=twilio`: your number, sender name or messaging service.',
    check: checkTwilio('TWILIO_FROM'),
  }),
  RATE_LIMITS: required({
    key: 'rateLimits',
    group: 'Operation',
    ...rateLimits,
    default: 'none',
    defaultNote: 'built in: generous in development, strict in production',
    about:
      'Requests per client address, by group of routes; the groups that are not named keep their built-in limit. Lockout and code quotas are separate and always on.',
    rule: 'Not `off`.',
    check: checkRateLimits,
  }),
  METRICS_TOKEN: optional({
    key: 'metricsToken',
    group: 'Operation',
    ...headerText,
    secret: 'all',
    about: 'Opens `/metrics` in production, sent as `Authorization: Bearer …`. In development it is open.',
    rule: 'At least 16 bytes, no placeholder. Without it `/metrics` stays closed.',
    check: checkMetricsToken,
  }),
  ROLE: required({
    key: 'role',
    group: 'Operation',
    ...oneOf('all', 'web', 'worker'),
    default: 'all',
    about:
      '`web` answers requests and does no background work; `worker` does background work and answers only `/health`, `/metrics` and the documentation.',
  }),
  WORKERS: required({
    key: 'workers',
    group: 'Operation',
    ...workers,
    default: '1',
    about: 'Processes behind the one port, each a whole service. `auto`: as many as there are cores.',
  }),
  LOG_LEVEL: required({
    key: 'logLevel',
    group: 'Operation',
    ...oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    about: 'The least level that is logged.',
  }),
}

export type SettingName = keyof typeof settings

/** The validated configuration, frozen. */
export type Config = {
  readonly [Name in SettingName as (typeof settings)[Name]['key']]: ReturnType<
    (typeof settings)[Name]['parse']
  >
}

// A setting only hands its own values to its own check, which the common type of all settings can't express.
const table: readonly [SettingName, Setting][] = Object.entries(settings) as unknown as [
  SettingName,
  Setting,
][]

/** The table as a list, in order. */
export const settingEntries = (): readonly [SettingName, Setting][] => table
