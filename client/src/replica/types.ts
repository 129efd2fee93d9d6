/** An event, as the feed, the broker and webhooks carry it. */
export type RosterEvent = {
  id: string
  /** Its place among all events, without gaps. */
  sequence: number
  eventType: string
  occurredAt: string
  data: Readonly<Record<string, unknown>>
}

/** What a replica keeps of a user. */
export type ReplicaUser = {
  id: string
  username: string
  email: string
  email_verified: boolean
  phone_number: string | null
  phone_verified: boolean
  full_name: string | null
  first_name: string | null
  last_name: string | null
  roles: string[]
  is_active: boolean
  current_title: string | null
  location: string | null
  avatar_url: string | null
  locale: string | null
  timezone: string | null
  created_at: string
  deleted_at: string | null
}

export type Snapshot = {
  /** Every event up to this has left its mark on the items. */
  sequence: number
  items: ReplicaUser[]
  next_after: string | null
}

export type FeedPage = { items: RosterEvent[]; next_after: number; head: number }

/** The parts of the service's API that a replica needs. */
export type ReplicaSource = {
  /** @throws PositionGone */
  events(query: { after: number; limit: number; wait?: number; signal?: AbortSignal }): Promise<FeedPage>
  snapshot(query: { after?: string; ids?: readonly string[]; limit?: number }): Promise<Snapshot>
}

/** The events after a position are no longer held, or the service runs on another database now. */
export class PositionGone extends Error {
  override readonly name = 'PositionGone'
}

/** A user as stored, with the sequence up to which their events have left their mark. */
export type StoredUser = { user: ReplicaUser; asOf: number }

/** One transaction of the replica's own database. */
export type ReplicaTransaction = {
  /**
   * The sequence up to which everything is applied, locked until the transaction ends; undefined before the
   * first bootstrap.
   */
  lockPosition(): Promise<number | undefined>
  setPosition(sequence: number | undefined): Promise<void>
  find(ids: readonly string[]): Promise<StoredUser[]>
  /** Inserts or replaces. */
  put(users: readonly StoredUser[]): Promise<void>
  remove(ids: readonly string[]): Promise<void>
  /** Removes users whose `asOf` is not from `first` to `last`. */
  removeOutside(first: number, last: number): Promise<void>
}

/** Where a replica lives. Position and users must be in one database: what is applied twice is then noticed. */
export type ReplicaStore = {
  transact<T>(work: (trx: ReplicaTransaction) => Promise<T>): Promise<T>
  /** Ids after `after`, in order, up to `limit`. */
  ids(after: string | undefined, limit: number): Promise<string[]>
}
