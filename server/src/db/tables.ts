import type { ColumnType, Generated } from 'kysely'
import type { JsonObject, Json as JsonValue } from '../lib/json.ts'

/* The tables as TypeScript sees them. server/migrations/ is where they are made. */

type Timestamp = ColumnType<Date, Date, Date>
type Json<T> = ColumnType<T, string, string>

export type Database = {
  users: UsersTable
  user_credentials: UserCredentialsTable
  user_activity: UserActivityTable
  roles: RolesTable
  user_roles: UserRolesTable
  sessions: SessionsTable
  signing_keys: SigningKeysTable
  setup_codes: SetupCodesTable
  audit_log: AuditLogTable
  audit_personal: AuditPersonalTable
  audit_unsealed: AuditUnsealedTable
  audit_seals: AuditSealsTable
  events: EventsTable
  event_head: EventHeadTable
  event_partitions: EventPartitionsTable
  webhook_endpoints: WebhookEndpointsTable
  webhook_deliveries: WebhookDeliveriesTable
  verifications: VerificationsTable
  code_quotas: CodeQuotasTable
  name_holds: NameHoldsTable
  known_devices: KnownDevicesTable
  second_factors: SecondFactorsTable
  recovery_codes: RecoveryCodesTable
  passkeys: PasskeysTable
  passkey_challenges: PasskeyChallengesTable
  sign_ins: SignInsTable
  attempt_limits: AttemptLimitsTable
  encryption_keys: EncryptionKeysTable
  messages: MessagesTable
  sms_opt_outs: SmsOptOutsTable
  user_profiles: UserProfilesTable
  user_search: UserSearchTable
  setting_definitions: SettingDefinitionsTable
  setting_definition_versions: SettingDefinitionVersionsTable
  setting_registry: SettingRegistryTable
  user_settings: UserSettingsTable
  setting_dry_runs: SettingDryRunsTable
}

export type UsersTable = {
  id: string
  username: string
  username_key: string
  email: string
  email_key: string
  email_verified_at: Timestamp | null
  proved_apart: Generated<boolean>
  phone_number: string | null
  phone_verified_at: Timestamp | null
  full_name: string | null
  first_name: string | null
  last_name: string | null
  is_active: Generated<boolean>
  mfa_enabled: Generated<boolean>
  subscription_tier: Generated<string>
  subscription_since: Timestamp | null
  subscription_expires_at: Timestamp | null
  current_title: string | null
  location: string | null
  avatar_url: string | null
  locale: string | null
  timezone: string | null
  created_at: Timestamp
  updated_at: Timestamp | null
  updated_by: string | null
  last_username_updated: Timestamp | null
  deleted_at: Timestamp | null
  is_demo: Generated<boolean>
}

export type UserCredentialsTable = {
  user_id: string
  password_hash: string
  password_version: Generated<number>
  password_changed_at: Timestamp | null
}

export type UserActivityTable = {
  user_id: string
  last_login_at: Timestamp | null
  last_activity_at: Timestamp | null
  login_count: Generated<number>
}

export type RolesTable = {
  name: string
  description: string
  permissions: string[]
  is_system: boolean
  requires_mfa: Generated<boolean>
  created_at: Generated<Date>
  updated_at: Timestamp | null
}

export type UserRolesTable = {
  user_id: string
  role_name: string
  granted_at: Timestamp
  granted_by: string | null
}

export type SessionsTable = {
  id: string
  user_id: string
  created_at: Timestamp
  last_used_at: Timestamp
  expires_at: Timestamp
  revoked_at: Timestamp | null
  revoked_reason: string | null
  ip: string | null
  user_agent: string | null
  assurance_level: string
  authentication_methods: string[]
  authenticated_at: Timestamp
  second_factor_at: Timestamp | null
  refresh_generation: Generated<number>
  refresh_hash: Buffer
  refresh_rotations: Generated<Date[]>
}

export type SigningKeysTable = {
  kid: string
  algorithm: string
  public_jwk: Json<Record<string, unknown>>
  private_key_sealed: Buffer
  created_at: Timestamp
  signs_from: Timestamp
}

export type SetupCodesTable = {
  only_row: Generated<boolean>
  nonce: Buffer
  created_at: Timestamp
}

export type AuditLogTable = {
  id: string
  occurred_at: Timestamp
  action: string
  outcome: string
  actor_type: string
  actor_id: string | null
  subject_type: string | null
  subject_id: string | null
  session_id: string | null
  request_id: string | null
  changed_fields: string[]
  details: Json<Record<string, unknown>>
  personal_digest: Buffer | null
}

export type AuditPersonalTable = {
  audit_id: string
  ip: string | null
  user_agent: string | null
  salt: Buffer | null
}

export type AuditUnsealedTable = {
  audit_id: string
}

export type AuditSealsTable = {
  sequence: string
  sealed_at: Timestamp
  entries: Buffer
  mac: Buffer
}

export type EventsTable = {
  id: string
  type: string
  user_id: string | null
  data: Json<Record<string, unknown>>
  occurred_at: Timestamp
  position: Generated<string>
  sequence: string | null
  partition: number | null
}

export type EventHeadTable = {
  only_row: Generated<boolean>
  sequence: string
}

export type EventPartitionsTable = {
  partition: number
  published: string
}

export type WebhookEndpointsTable = {
  id: string
  url: string
  description: string
  event_types: string[]
  is_active: Generated<boolean>
  secret_sealed: Buffer
  previous_secret_sealed: Buffer | null
  previous_secret_expires_at: Timestamp | null
  fanned_out: string
  failures: Generated<number>
  paused_until: Timestamp | null
  created_at: Timestamp
  updated_at: Timestamp | null
}

export type WebhookDeliveriesTable = {
  id: string
  endpoint_id: string
  event_id: string
  event_type: string
  sequence: string
  user_id: string | null
  state: 'pending' | 'delivered' | 'dead'
  attempts: Generated<number>
  next_attempt_at: Timestamp | null
  give_up_at: Timestamp
  last_status: number | null
  last_error: string | null
  last_duration_ms: number | null
  created_at: Timestamp
  finished_at: Timestamp | null
}

export type VerificationsTable = {
  id: string
  kind: 'code' | 'link'
  purpose: string
  user_id: string
  target: string
  secret_hash: Buffer
  tries_left: number
  data: Json<Record<string, unknown>>
  created_at: Timestamp
  expires_at: Timestamp
}

export type CodeQuotasTable = {
  address_hash: Buffer
  sent: Generated<Date[]>
  failures: Generated<number>
  failed_at: Timestamp | null
  blocked_until: Timestamp | null
  touched_at: Timestamp
}

export type NameHoldsTable = {
  kind: 'username' | 'email'
  name_key: string
  user_id: string
  held_until: Timestamp
}

export type KnownDevicesTable = {
  user_id: string
  device_hash: Buffer
  first_seen_at: Timestamp
  last_seen_at: Timestamp
}

export type MessagesTable = {
  id: string
  channel: 'email' | 'sms'
  template: string
  recipient: string
  user_id: string | null
  locale: string | null
  timezone: string | null
  state: 'queued' | 'sent' | 'dead' | 'suppressed'
  attempts: Generated<number>
  created_at: Timestamp
  next_attempt_at: Timestamp | null
  useful_until: Timestamp
  finished_at: Timestamp | null
  provider: string | null
  provider_id: string | null
  provider_status: string | null
  last_error: string | null
  content: Buffer | null
}

export type SmsOptOutsTable = {
  number_hash: Buffer
  opted_out_at: Timestamp
}

export type UserProfilesTable = {
  user_id: string
  bio: string | null
  headline: string | null
  company: string | null
  website_url: string | null
  linkedin_url: string | null
  github_url: string | null
  skills: Generated<string[]>
  languages: Generated<string[]>
  years_of_experience: number | null
  education: ColumnType<JsonObject[], string | undefined, string>
  experience: ColumnType<JsonObject[], string | undefined, string>
  city: string | null
  country: string | null
  visibility: Generated<'public' | 'members' | 'private'>
  is_searchable: Generated<boolean>
  hidden_fields: Generated<string[]>
}

export type UserSearchTable = {
  user_id: string
  position: Generated<string>
  is_visible: boolean
  names: string
  title: string
  location: string
  skills: string[]
  form: number
}

export type SettingDefinitionsTable = {
  key: string
  scope: 'preference' | 'setting'
  category: string
  setting_type: string
  description: string
  default_value: Json<JsonValue>
  validation_rules: Json<JsonObject>
  cross_rules: Json<JsonObject[]>
  is_public: boolean
  is_readonly: boolean
  sort_order: number
  deprecated: boolean
  version: number
  created_at: Timestamp
  updated_at: Timestamp | null
  updated_by: string | null
  shipped: ColumnType<JsonObject | null, string | null, string | null>
  removed_at: Timestamp | null
  pending: ColumnType<JsonObject | null, string | null, string | null>
  pending_until: Timestamp | null
}

export type SettingDefinitionVersionsTable = {
  key: string
  version: number
  definition: Json<JsonObject>
  changed_at: Timestamp
  changed_by: string | null
}

export type SettingRegistryTable = { version: string; shipped_digest: string | null }

export type UserSettingsTable = {
  user_id: string
  scope: string
  value_by_key: Json<JsonObject>
  version: number
  updated_at: Timestamp
}

export type SettingDryRunsTable = {
  id: string
  key: string
  candidate: Json<JsonObject>
  status: 'running' | 'done' | 'failed'
  checked: Generated<string>
  total: string
  invalid: Generated<string>
  samples: ColumnType<JsonObject[], string | undefined, string>
  started_at: Timestamp
  started_by: string | null
  updated_at: Timestamp
  finished_at: Timestamp | null
}

export type SecondFactorsTable = {
  user_id: string
  method: 'totp' | 'sms' | 'email'
  secret_sealed: Buffer | null
  phone_number: string | null
  created_at: Timestamp
  confirmed_at: Timestamp | null
  last_used_at: Timestamp | null
  last_step: Generated<string>
}

export type RecoveryCodesTable = {
  user_id: string
  code_hash: Buffer
  created_at: Timestamp
}

export type PasskeysTable = {
  id: string
  user_id: string
  credential_id: Buffer
  public_key: Buffer
  counter: ColumnType<string, number, number>
  transports: string[]
  is_synced: boolean
  name: string
  created_at: Timestamp
  last_used_at: Timestamp | null
  is_doubted: Generated<boolean>
}

export type PasskeyChallengesTable = {
  challenge_hash: Buffer
  purpose: string
  user_id: string | null
  expires_at: Timestamp
}

export type SignInsTable = {
  token_hash: Buffer
  user_id: string
  proved: string[]
  password_version: number | null
  created_at: Timestamp
  expires_at: Timestamp
}

export type AttemptLimitsTable = {
  key: Buffer
  failures: Generated<number>
  reserved: Generated<number>
  reserved_at: Timestamp
  failed_at: Timestamp | null
  blocked_until: Timestamp | null
}

export type EncryptionKeysTable = {
  id: Generated<number>
  purpose: 'root' | 'data'
  key_sealed: Buffer
  created_at: Timestamp
}
