import { usernameKey } from '../../lib/text.ts'

/*
 * Names that a program could read as something else, or a person as somebody with authority. Operators add theirs with
 * RESERVED_USERNAMES.
 */

const builtIn = [
  // what languages and formats call nothing, or an object of theirs
  'null nil none nan undefined true false void constructor prototype tostring valueof hasownproperty',
  // devices and files with a meaning of their own
  'con aux nul prn com1 com2 com3 com4 lpt1 lpt2 lpt3 robots.txt favicon.ico index.html sitemap.xml',
  // who has authority, or seems to
  'admin administrator administrators admins root superuser sudo sysadmin system sysop operator moderator',
  'official staff support helpdesk security trust abuse owner roster service daemon',
  // addresses of hosts and mail with a meaning (RFC 2142)
  'hostmaster postmaster webmaster noreply mailer-daemon bounce bounces www ftp smtp imap localhost',
  // what stands in addresses of pages and routes
  'api app auth login logout signin signout signup register setup oauth account accounts settings profile',
  'users roles sessions docs health metrics assets static public well-known',
  // everybody and nobody
  'all everyone everybody anyone anonymous deleted unknown you self',
].flatMap(line => line.split(' '))

/** Without what separates: `no-reply`, `no.reply` and `NoReply` are one. */
const bare = (username: string): string => usernameKey(username).replace(/[._-]/g, '')

/** Whether a username is kept from everybody. */
export type IsReserved = (username: string) => boolean

/** @param more names that the operator adds, RESERVED_USERNAMES */
export function createReservedUsernames(more: readonly string[]): IsReserved {
  const reserved = new Set([...builtIn, ...more].map(bare))
  return username => reserved.has(bare(username))
}
