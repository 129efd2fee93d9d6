/** Whose password it is and who asks. What is unknown takes no share. */
export type Asker = {
  /** The account, or the name that is nobody's. */
  account?: string | undefined
  /** The client's address, or its network. */
  address?: string | undefined
  /** Signed in, or on a device that the owner signed in from before. */
  isKnown?: boolean | undefined
}

export type Admission = {
  /**
   * Lets work of `cost` in, and returns what lets it out again; or the seconds after which to come back.
   */
  enter(cost: number, asker: Asker): { leave: () => void } | { retryAfter: number }
  /** Notes how long work of `cost` took, in milliseconds. */
  took(cost: number, milliseconds: number): void
}

/** Milliseconds of one hash of our own, until the first was measured. */
const firstGuess = 40
/** Of our own hashes: the attempts at one account that the lockout lets through at once always fit. */
const leastShare = 8

/**
 * Bounds work by the time that it is expected to take, in hashes of our own, which are measured as they are
 * made. Each half of `patience` is kept for one kind of caller: those who are known, and strangers. Of its half
 * one account gets a quarter, and one address of strangers half. Whoever finds less than that before them is let
 * in whatever their own work costs; so nothing is refused for ever.
 * @param patience milliseconds that the last one let in waits at most, apart from what is being worked on
 */
export function createAdmission({ workers, patience }: { workers: number; patience: number }): Admission {
  let unit = firstGuess
  const inside = new Map<string, number>()
  const work = (key: string) => inside.get(key) ?? 0

  function add(keys: readonly string[], cost: number) {
    for (const key of keys) {
      const sum = work(key) + cost
      if (sum > 1e-9) inside.set(key, sum)
      else inside.delete(key)
    }
  }

  function sharesOf({ account, address, isKnown = false }: Asker, half: number): Map<string, number> {
    const lane = isKnown ? 'known' : 'strangers'
    const shares = new Map([[lane, half]])
    if (account !== undefined) shares.set(`${lane} account ${account}`, Math.max(half / 4, leastShare))
    if (address !== undefined && !isKnown) shares.set(`address ${address}`, Math.max(half / 2, leastShare))
    return shares
  }

  return {
    enter(cost, asker) {
      const half = (patience * workers) / unit / 2
      const shares = sharesOf(asker, half)
      for (const [key, share] of shares) {
        if (work(key) >= share)
          return { retryAfter: Math.max(1, Math.ceil((work(key) * unit) / workers / 1000)) }
      }
      const keys = [...shares.keys()]
      add(keys, cost)
      return { leave: () => add(keys, -cost) }
    },
    took(cost, milliseconds) {
      // One stall of the machine is no new price.
      unit += 0.1 * (Math.min(milliseconds / cost, 4 * unit) - unit)
    },
  }
}
