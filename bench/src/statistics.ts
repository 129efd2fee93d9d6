/** The value below which `share` (0 to 1) of the values are. */
export function percentile(values: readonly number[], share: number): number {
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * share))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** A measurement of ours against one of the limit, taken one right after the other. */
export type Pair = { ours: number; limit: number }

/**
 * Measures in turns, A B B A A B …, so that what else the machine does falls on both alike. The ratio is the
 * median of the turns' own ratios.
 */
export async function inTurns(
  rounds: number,
  measureOurs: () => Promise<number>,
  measureLimit: () => Promise<number>,
): Promise<{ ours: number; limit: number; ratio: number; ratios: number[] }> {
  const pairs: Pair[] = []
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const limit = await measureLimit()
      pairs.push({ limit, ours: await measureOurs() })
    } else {
      const ours = await measureOurs()
      pairs.push({ ours, limit: await measureLimit() })
    }
  }
  const ratios = pairs.map(({ ours, limit }) => ours / limit)
  return {
    ours: median(pairs.map(({ ours }) => ours)),
    limit: median(pairs.map(({ limit }) => limit)),
    ratio: median(ratios),
    ratios,
  }
}
