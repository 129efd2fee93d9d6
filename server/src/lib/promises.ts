/** What `work` comes to; rejects with `late()` after `milliseconds`. The work itself goes on, and nobody hears of it. */
export function withTimeout<T>(work: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), milliseconds)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

/** `work` for many callers: those who come while it is under way wait for that one. */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}
