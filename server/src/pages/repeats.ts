import { sha256 } from '../lib/secrets.ts'

/** Milliseconds for which a form that is posted again gets the reply of the first time. */
const memory = 10_000
const most = 10_000

/**
 * Answers a form that is posted twice, as by a double click, once: what comes second waits for the first, and gets
 * its outcome, cookies and all. So it is known by the browser's own cookies, the random number in the form, and what
 * was filled in: nobody else can ask for it.
 */
export function createRepeats<Outcome>(now: () => number = () => performance.now()) {
  const known = new Map<string, { outcome: Promise<Outcome>; until: number }>()

  function forgetOld(): void {
    for (const [key, { until }] of known) {
      if (until > now() && known.size < most) break
      known.delete(key)
    }
  }

  return {
    once(
      posted: { path: string; cookies: string; form: Readonly<Record<string, string>> },
      run: () => Promise<Outcome>,
    ): Promise<Outcome> {
      const { form: id } = posted.form
      if (id === undefined || !/^[\w-]{16}$/.test(id)) return run()
      forgetOld()
      const key = sha256(JSON.stringify(posted)).toString('base64')
      const before = known.get(key)
      if (before) return before.outcome
      const outcome = run()
      known.set(key, { outcome, until: now() + memory })
      // One that fails may be tried again at once.
      outcome.catch(() => known.delete(key))
      return outcome
    },
  }
}
