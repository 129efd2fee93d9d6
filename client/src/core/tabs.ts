/** What the tabs of one origin tell each other, and the lock that one of them holds. */
export type Tabs<Message> = {
  tell(message: Message): void
  /** Runs `work` while no other tab does. `isAlone` is false where another one had the lock before. */
  alone<T>(work: (isAlone: boolean) => Promise<T>): Promise<T>
  close(): void
}

/** Tabs of one origin where the platform has both `BroadcastChannel` and Web Locks; else this one alone. */
export function openTabs<Message>(name: string, heard: (message: Message) => void): Tabs<Message> {
  const locks = globalThis.navigator?.locks
  if (!isBrowser() || !locks || typeof BroadcastChannel === 'undefined') {
    return { tell() {}, alone: work => work(true), close() {} }
  }
  const channel = new BroadcastChannel(name)
  channel.onmessage = event => heard(event.data)
  return {
    tell: message => channel.postMessage(message),
    async alone(work) {
      const atOnce = await locks.request(name, { ifAvailable: true }, async lock =>
        lock ? { result: await work(true) } : undefined,
      )
      return atOnce ? atOnce.result : locks.request(name, () => work(false))
    },
    close: () => channel.close(),
  }
}

/** Node has channels and locks too, but its programs share no session. */
const isBrowser = (): boolean => 'document' in globalThis || 'importScripts' in globalThis
