import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Upper bounds in seconds: a token check takes a millisecond, a password 50, a stuck database seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Notes one reply of a route: its status, and seconds from the first byte to the reply. */
export type Observe = (status: number, seconds: number) => void

/** What gauges read when they are scraped. */
export type PoolGauges = { total: number; idle: number; waiting: number }
export type HashingGauges = { running: number; queued: number }

/** The metrics of one process. */
export type Metrics = {
  registry: Registry
  /** What `/metrics` answers: of this process, or of all behind its port. */
  text: () => Promise<string>
  /** Called once a route; the function it returns is cheap enough for every request. */
  observer(method: string, route: string): Observe
  /** Counts an error reply by its code: what limits, cool-downs and taken names turn away. */
  problem(code: string): void
  watchPool(read: () => PoolGauges): void
  watchHashing(read: () => HashingGauges): void
}

/** A registry of its own, so that tests can have several servers in one process. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const durations = new RouteDurations(registry)
  const problems = new Counter({
    name: 'problems_total',
    help: 'Error replies, by their code.',
    labelNames: ['code'],
    registers: [registry],
  })
  return {
    registry,
    text: () => registry.metrics(),
    observer: (method, route) => durations.observer(method, route),
    problem: code => problems.inc({ code }),
    watchPool(read) {
      watch(registry, 'db_pool_connections', 'Connections of the database pool, by state.', () => {
        const { total, idle, waiting } = read()
        return { idle, used: total - idle, waiting }
      })
    },
    watchHashing(read) {
      watch(registry, 'password_hashing_jobs', 'Password hashes being computed and waiting.', () => read())
    },
  }
}

function watch(registry: Registry, name: string, help: string, read: () => Record<string, number>): void {
  new Gauge({
    name,
    help,
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, value] of Object.entries(read())) this.set({ state }, value)
    },
  })
}

const name = 'http_request_duration_seconds'
const help = 'Seconds from the arrival of a request to its reply, by method, route pattern and status.'

type Cell = { labels: { method: string; route: string; status: string }; buckets: Float64Array; sum: number }

type Label = 'method' | 'route' | 'status'

/**
 * `http_request_duration_seconds`. prom-client hashes the labels of every observation, which costs a
 * microsecond or more; here a route keeps its cells by status, and an observation is two array reads.
 */
class RouteDurations extends Histogram<Label> {
  readonly #cells: Cell[] = []

  constructor(registry: Registry) {
    super({
      name,
      help,
      labelNames: ['method', 'route', 'status'],
      buckets: bounds,
      registers: [registry],
    })
  }

  observer(method: string, route: string): Observe {
    const byStatus = new Map<number, Cell>()
    return (status, seconds) => {
      let cell = byStatus.get(status)
      if (cell === undefined) {
        cell = {
          labels: { method, route, status: String(status) },
          buckets: new Float64Array(bounds.length + 1),
          sum: 0,
        }
        byStatus.set(status, cell)
        this.#cells.push(cell)
      }
      let bucket = 0
      while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket++
      cell.buckets[bucket] = (cell.buckets[bucket] ?? 0) + 1
      cell.sum += seconds
    }
  }

  override async get() {
    const values = this.#cells.flatMap(samples)
    const metric = { name, help, type: 'histogram', aggregator: 'sum', values }
    // prom-client's type wants a `collect`, which nothing calls, and an enum that does not exist at run time.
    return metric as unknown as Awaited<ReturnType<Histogram<Label>['get']>>
  }

  /** Where prom-client reads a metric's samples for its text; it is not in its types. */
  getForPromString() {
    return this.get()
  }
}

/** Cumulative buckets, sum and count, as the exposition format wants them. */
function samples({ labels, buckets, sum }: Cell) {
  let count = 0
  const cumulative = [...buckets].map((value, index) => {
    count += value
    const le = bounds[index] ?? '+Inf'
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count }
  })
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
