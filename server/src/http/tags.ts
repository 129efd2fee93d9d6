/** The groups of routes in the documentation, in the order in which people need them. */
export const tags = [
  { name: 'auth', description: 'Register, sign in, prove an address, choose a new password. Begin here.' },
  {
    name: 'sessions',
    description: 'Refresh tokens, sign out, see and end one’s sessions, keys that verify tokens.',
  },
  {
    name: 'users',
    description: 'One’s own account, and for those who may: everybody’s, listed and searched.',
  },
  {
    name: 'profile',
    description: 'What people say of themselves, their username, address and phone number.',
  },
  {
    name: 'mfa',
    description: 'Second factors: authenticator apps, codes by text message or e-mail, recovery codes.',
  },
  { name: 'passkeys', description: 'Passkeys (WebAuthn): enrol them, and sign in with them.' },
  {
    name: 'settings',
    description: 'Preferences and settings of each user, and what an administrator lets them be.',
  },
  { name: 'roles', description: 'Roles and the permissions that they give.' },
  {
    name: 'administration',
    description: 'What administrators do to others’ accounts: invite, change, close, restore.',
  },
  {
    name: 'messages',
    description: 'Mail and text messages: what became of them, and the mailbox of development.',
  },
  { name: 'audit', description: 'Who did what to whom, and how it ended.' },
  {
    name: 'events',
    description: 'What other services follow: the feed of changes, and a snapshot of all users.',
  },
  {
    name: 'webhooks',
    description: 'Addresses of other services that events are posted to, and how that went.',
  },
  { name: 'system', description: 'Health, metrics and what this service is.' },
  {
    name: 'profile update dialect',
    description:
      'The routes and replies of an older service for updating one’s profile, so that its clients go on working.',
  },
  {
    name: 'user template dialect',
    description:
      'The routes and replies of an older user service under /v1/api, so that its clients go on working.',
  },
]
