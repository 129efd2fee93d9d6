'use client'

import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useSyncExternalStore,
} from 'react'
import { createRoster, type Roster } from '../core/roster.ts'
import type { Session, User } from '../core/session.ts'

/** Where somebody's session stands: not known yet, signed in, signed out, or the service can't be reached. */
export type SessionState =
  | { status: 'loading'; session: undefined; error: undefined }
  | { status: 'signed_in'; session: Session; error: undefined }
  | { status: 'signed_out'; session: undefined; error: undefined }
  | { status: 'failed'; session: undefined; error: unknown }

type Store = {
  roster: Roster
  state(): SessionState
  subscribe(listener: () => void): () => void
  look(): void
}

const Context = createContext<Store | undefined>(undefined)

const stores = new WeakMap<Roster, Store>()
const ofUrl = new Map<string, Roster>()

const loading: SessionState = { status: 'loading', session: undefined, error: undefined }

/** One for each client, however often a component is drawn. */
function storeOf(roster: Roster): Store {
  const known = stores.get(roster)
  if (known) return known
  const listeners = new Set<() => void>()
  let state = loading
  let looked = false
  function set(next: SessionState): void {
    state = next
    for (const listener of listeners) listener()
  }
  const arrive = (session: Session | undefined) =>
    set(
      session
        ? { status: 'signed_in', session, error: undefined }
        : { status: 'signed_out', session: undefined, error: undefined },
    )
  roster.subscribe(arrive)
  const store: Store = {
    roster,
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    look() {
      if (looked) return
      looked = true
      roster.currentSession().then(arrive, (error: unknown) => {
        looked = false
        set({ status: 'failed', session: undefined, error })
      })
    },
  }
  stores.set(roster, store)
  return store
}

function rosterAt(url: string): Roster {
  const known = ofUrl.get(url) ?? createRoster({ url })
  ofUrl.set(url, known)
  return known
}

/**
 * Gives the components below it the session. Takes the service's address, or a client of it.
 * On a server everybody is `loading`: whose page it is only their browser knows.
 */
export function RosterProvider(
  props: ({ url: string } | { roster: Roster }) & { children?: ReactNode },
): ReactNode {
  const roster = 'roster' in props ? props.roster : rosterAt(props.url)
  const store = storeOf(roster)
  useEffect(() => store.look(), [store])
  return createElement(Context.Provider, { value: store }, props.children)
}

function useStore(): Store {
  const store = useContext(Context)
  if (!store) throw new Error('there is no RosterProvider around this component')
  return store
}

/** The client, for calls. */
export const useRoster = (): Roster => useStore().roster

/** Where the session stands. Draws again when somebody signs in or out, in this tab or another. */
export function useSession(): SessionState {
  const { subscribe, state } = useStore()
  return useSyncExternalStore(subscribe, state, () => loading)
}

/** Whoever is signed in; undefined while nobody is, or while it is not known yet. */
export const useUser = (): User | undefined => useSession().session?.user

/** Shows its children to those who are signed in. */
export function SignedIn({ children }: { children?: ReactNode }): ReactNode {
  return useSession().status === 'signed_in' ? children : null
}

/** Shows its children to those who are not; to nobody while that is not known yet. */
export function SignedOut({ children }: { children?: ReactNode }): ReactNode {
  return useSession().status === 'signed_out' ? children : null
}
