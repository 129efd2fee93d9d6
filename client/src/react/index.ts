'use client'

export {
  RosterProvider,
  type SessionState,
  SignedIn,
  SignedOut,
  useRoster,
  useSession,
  useUser,
} from './provider.ts'
export { type Scope, type SettingField, type Settings, useSettings } from './settings.ts'
