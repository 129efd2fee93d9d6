import { parseArgs } from 'node:util'
import { bench, type Plan, plans, type Section, sections } from './bench.ts'

/* npm run bench [-- --quick] [--only start,reads,logins,latency,storm,writes] */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const wanted = values.only?.split(',') ?? [...sections]
const unknown = wanted.find(name => !sections.includes(name as Section)) // checked by this very line
if (unknown !== undefined) throw new Error(`no part "${unknown}"; there are ${sections.join(', ')}`)
const plan: Plan = values.quick ? plans.quick : plans.full
await bench(plan, new Set(wanted), line => console.log(line))
