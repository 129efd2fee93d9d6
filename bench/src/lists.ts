import { parseArgs } from 'node:util'
import { benchLists } from './lists/bench.ts'

/* node scripts/run.mjs bench/src/lists.ts [--users 1000000] [--rows 5000000] [--folder kept/]
 *
 * With a folder the database stays there, and a second run finds it filled.
 */

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    rows: { type: 'string', default: '5000000' },
    requests: { type: 'string', default: '400' },
    folder: { type: 'string' },
  },
})
const passed = await benchLists(
  {
    users: Number(values.users),
    rows: Number(values.rows),
    requests: Number(values.requests),
    folder: values.folder,
  },
  line => console.log(line),
)
process.exitCode = passed ? 0 : 1
