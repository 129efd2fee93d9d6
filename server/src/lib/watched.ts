/** A piece of background work, as whoever sees to it that it goes on knows it. Times are those of performance.now(). */
export type Watched = {
  /** For logs, health and metrics: `audit_sealing`. */
  name: string
  /** When its next sign of life is due: past that, it has ended or hangs. */
  dueBy(): number
  /** Since when all its attempts have failed; undefined while it works. */
  failingSince?(): number | undefined
  /** Begins anew, and leaves behind what hangs. */
  restart(): void | Promise<void>
}
