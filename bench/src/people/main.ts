import { parseArgs } from 'node:util'
import { coldSettingsAgainstRecord, dryRunEffect, searchTimes, settingsAgainstRecord } from './measure.ts'
import { openWorld } from './world.ts'

/*
 * Settings and search with many people:
 *   node bench/src/people/main.ts [--people 1000000] [--seconds 5] [--only settings,search,dry-run]
 *     [--folder kept/]
 * With a folder the database stays there, and a second run finds it filled. Run it with 10,000 and with 1,000,000 people to see what their number costs.
 */

const { values } = parseArgs({
  options: {
    people: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '5' },
    folder: { type: 'string' },
    only: { type: 'string', default: 'settings,search,dry-run' },
  },
})
const [people, seconds] = [Number(values.people), Number(values.seconds)]
const wanted = new Set(values.only.split(','))
const print = (line: string): void => console.log(line)

const world = await openWorld({ people, searchers: 50, folder: values.folder }, print)
try {
  if (wanted.has('settings')) {
    const warm = await settingsAgainstRecord(world, { seconds, rounds: 4 })
    print(
      `GET /users/me/settings : GET /auth/me            ${warm.ratio.toFixed(2)}  (${rates(warm)}), goal at least 0.5`,
    )
    const cold = await coldSettingsAgainstRecord(world, { seconds, rounds: 2 })
    print(`the same, not in memory                          ${cold.ratio.toFixed(2)}  (${rates(cold)})`)
  }
  if (wanted.has('search')) {
    for (const { kind, p50, p95, perSecond } of await searchTimes(world, seconds)) {
      const figures = `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)} ms, ${perSecond.toFixed(0)}/s`
      print(`search, ${kind.padEnd(24)} ${figures}  ${p95 <= 15 ? 'ok' : 'MISSED'}, goal at most 15 ms`)
    }
  }
  if (wanted.has('dry-run')) {
    const run = await dryRunEffect(world, { perSecond: 200, seconds })
    print(
      `dry-run over ${run.checked} users: ${run.invalid} invalid in ${run.seconds.toFixed(1)} s, ${run.steps} states seen; ` +
        `others’ p95 × ${run.ratio.toFixed(2)}, goal at most 1.2`,
    )
  }
} finally {
  await world.stop()
}

function rates({ ours, limit }: { ours: number; limit: number }): string {
  return `${ours.toFixed(0)}/s : ${limit.toFixed(0)}/s`
}
