import type { ColumnType, Generated } from 'kysely'

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
  verifications: VerificationsTable
  code_quotas: CodeQuotasTable
  name_holds: NameHoldsTable
  known_devices: KnownDevicesTable
  messages: MessagesTable
  sms_opt_outs: SmsOptOutsTable
}

export type UsersTable = {
  id: string
  username: string
  username_key: string
  email: string
  email_key: string
  email_verified_at: Timestamp | null
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
  transaction_id: Generated<string>
  sequence: string | null
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
