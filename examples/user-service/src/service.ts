import http from 'node:http'
import {
  createReplica,
  createReplicaTables,
  type Follower,
  followRabbitMq,
  httpSource,
  passwordTokens,
  postgresStore,
  type Replica,
} from '@roster/client/replica'
import pg from 'pg'

export type UserServiceOptions = {
  /** Where Roster is. */
  rosterUrl: string
  /** An account there whose role has `events:read`. */
  email: string
  password: string
  /** This service's own database. */
  databaseUrl: string
  /** Without it, the feed is followed over HTTP. */
  rabbitmqUrl?: string | undefined
  port: number
}

export type UserService = { url: string; replica: Replica; stop(): Promise<void> }

/** Milliseconds between comparisons of the whole copy with Roster. */
const reconcileEvery = 3_600_000

/**
 * A service with a users table of its own: it joins and filters users in its own database, and goes on
 * answering when Roster is away.
 */
export async function startUserService(options: UserServiceOptions): Promise<UserService> {
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: 5 })
  pool.on('error', log)
  await createReplicaTables(pool)
  const { rosterUrl: url, email, password } = options
  const source = httpSource({ url, token: passwordTokens({ url, email, password }) })
  const replica = createReplica({ source, store: postgresStore(pool), log })
  const follower = await follow(replica, options.rabbitmqUrl)
  const timer = setInterval(() => replica.reconcile().then(report, log), reconcileEvery)

  const server = http.createServer((request, reply) => {
    answer(pool, request.url ?? '/').then(
      ({ status, body }) =>
        reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      error => {
        log('a request failed', error)
        reply.writeHead(500).end()
      },
    )
  })
  await new Promise<void>(resolve => server.listen(options.port, '127.0.0.1', resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : options.port}`,
    replica,
    async stop() {
      clearInterval(timer)
      server.close()
      await follower.stop()
      await pool.end()
    },
  }
}

async function follow(replica: Replica, rabbitmqUrl: string | undefined): Promise<Follower> {
  if (rabbitmqUrl !== undefined) {
    return followRabbitMq(replica, { url: rabbitmqUrl, queue: 'user-service.users', log })
  }
  const ending = new AbortController()
  const following = replica.follow(ending.signal)
  return {
    async stop() {
      ending.abort()
      await following
    },
  }
}

type Answer = { status: number; body: unknown }

const usersPath = /^\/users(?:\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?$/i
const roleName = /^[a-z][a-z0-9_-]*$/

/** `GET /users/{id}` and `GET /users?role=admin`, from the own table. */
async function answer(pool: pg.Pool, target: string): Promise<Answer> {
  const [path = '', query] = target.split('?', 2)
  const asked = usersPath.exec(path)
  if (!asked) return { status: 404, body: { error: 'no such page' } }
  const [, id] = asked
  if (id !== undefined) {
    const { rows } = await pool.query('select * from users where id = $1', [id])
    return rows[0] ? { status: 200, body: rows[0] } : { status: 404, body: { error: 'no such user' } }
  }
  const role = new URLSearchParams(query).get('role') ?? 'user'
  if (!roleName.test(role)) return { status: 400, body: { error: 'role takes the name of a role' } }
  const { rows } = await pool.query(
    'select id, username, email, roles from users where is_active and $1 = any(roles) order by id limit 100',
    [role],
  )
  return { status: 200, body: rows }
}

function report(repaired: string[]): void {
  if (repaired.length > 0) log(`repaired ${repaired.length} users`)
}

/** One line: what failed, and why. */
function log(...parts: unknown[]): void {
  console.error(['user-service', ...parts.filter(part => part !== undefined).map(describe)].join(': '))
}

/** `fetch` says why it failed in the cause alone, and the cause may have no message but a code. */
function describe(part: unknown): string {
  if (!(part instanceof Error)) return String(part)
  const { message, cause } = part
  const text = message || ('code' in part ? String(part.code) : part.name)
  return cause === undefined ? text : `${text}: ${describe(cause)}`
}
