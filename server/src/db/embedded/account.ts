import fs from 'node:fs'

/** The user that PostgreSQL runs as, when it is not the one that Roster runs as. */
export type Account = { uid: number; gid: number }

/**
 * PostgreSQL refuses to run as root, so root's Roster hands it to the owner of an existing `folder`,
 * or for a new one to a user without rights. Undefined: it runs as the user that Roster runs as.
 */
export function chooseAccount(folder: string, self = process.getuid?.()): Account | undefined {
  if (self === undefined) return undefined
  const owner = fs.statSync(folder, { throwIfNoEntry: false })
  if (self !== 0) {
    if (owner && owner.uid !== self) {
      throw new Error(`${folder} belongs to user id ${owner.uid}: run Roster as that user, or as root`)
    }
    return undefined
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  return unprivilegedAccount(fs.readFileSync('/etc/passwd', 'utf8'))
}

/** Picks from the text of /etc/passwd. */
export function unprivilegedAccount(passwd: string): Account {
  const users = new Map<string, Account>()
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name && Number(uid) > 0 && Number(gid) > 0) users.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  const account = users.get('roster') ?? users.get('postgres') ?? users.get('nobody')
  if (!account) {
    throw new Error(
      'PostgreSQL does not run as root, and this system has no user "postgres" or "nobody" to run it as: ' +
        'create one (useradd --system postgres), run Roster as another user, or set DATABASE_URL',
    )
  }
  return account
}
