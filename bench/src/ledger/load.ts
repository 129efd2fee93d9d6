import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** Something that the service said it had done, and the text by which its event is known. */
export type Acknowledged = { kind: 'register' | 'profile' | 'username'; userId: string; mark: string }

export type Ledger = {
  acknowledged: Acknowledged[]
  /** Marks of operations that got no answer: they may have happened or not, but not twice. */
  unknown: Set<string>
  refused: number
}

type Person = { id: string; email: string; token: string; renamed: boolean }

export const password = 'SecurePass123'

/** Sends mixed operations from several clients until `signal` ends it. `url` gives a process to ask. */
export async function runLoad(options: {
  clients: number
  pause: number
  url: () => string | undefined
  signal: AbortSignal
}): Promise<Ledger> {
  const ledger: Ledger = { acknowledged: [], unknown: new Set(), refused: 0 }
  await Promise.all(Array.from({ length: options.clients }, () => runClient(options, ledger)))
  return ledger
}

type LoadOptions = Parameters<typeof runLoad>[0]

async function runClient(options: LoadOptions, ledger: Ledger): Promise<void> {
  const people: Person[] = []
  while (!options.signal.aborted) {
    await sleep(options.pause)
    const person = people[randomInt(Math.max(1, people.length))]
    const dice = randomInt(100)
    if (!person || dice < 8) await register(options, ledger, people)
    else if (dice < 14) await signIn(options, person)
    else if (dice < 22 && !person.renamed) await rename(options, ledger, person)
    else await moveHouse(options, ledger, person)
  }
}

type Answer = { status: number; body: Record<string, unknown> }

/** Undefined where it is not known whether it was done. */
async function send(
  { url }: LoadOptions,
  method: string,
  path: string,
  body: object,
  token?: string,
): Promise<Answer | undefined> {
  const base = url()
  if (base === undefined) return { status: 0, body: {} }
  try {
    const reply = await fetch(`${base}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    })
    return { status: reply.status, body: (await reply.json()) as Answer['body'] } // an object by its schema
  } catch {
    return undefined
  }
}

function note(ledger: Ledger, entry: Acknowledged, answer: Answer | undefined): boolean {
  if (!answer || answer.status >= 500) ledger.unknown.add(entry.mark)
  else if (answer.status >= 200 && answer.status < 300) {
    ledger.acknowledged.push(entry)
    return true
  } else ledger.refused += 1
  return false
}

const newMark = () => `m${randomBytes(8).toString('hex')}`

async function register(options: LoadOptions, ledger: Ledger, people: Person[]): Promise<void> {
  const mark = newMark()
  const email = `${mark}@example.com`
  const answer = await send(options, 'POST', '/auth/register', { email, password })
  const id = String(answer?.body.id)
  if (!note(ledger, { kind: 'register', userId: id, mark: email }, answer)) return
  const person = { id, email, token: '', renamed: false }
  people.push(person)
  await signIn(options, person)
}

async function signIn(options: LoadOptions, person: Person): Promise<void> {
  const answer = await send(options, 'POST', '/auth/login', { email: person.email, password })
  if (answer?.status === 200) person.token = String(answer.body.access_token)
}

async function rename(options: LoadOptions, ledger: Ledger, person: Person): Promise<void> {
  const username = newMark()
  const answer = await send(options, 'PUT', '/auth/profile/username', { username }, person.token)
  person.renamed = note(ledger, { kind: 'username', userId: person.id, mark: username }, answer) || !answer
}

async function moveHouse(options: LoadOptions, ledger: Ledger, person: Person): Promise<void> {
  const location = newMark()
  const answer = await send(options, 'PUT', '/users/me', { location }, person.token)
  note(ledger, { kind: 'profile', userId: person.id, mark: location }, answer)
}
