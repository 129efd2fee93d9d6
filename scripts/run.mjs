// node scripts/run.mjs [node flags] <file> [arguments]
// Installs what is missing, then runs the file with the Node that the project pins. Plain JavaScript without
// dependencies: this is what an older system Node runs first.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { pinnedNode, root, setUp } from './setup.mjs'

/** Milliseconds in which the same signal, told to a whole process group and by npm as well, counts once. */
const sameSignal = 1000

await setUp()
const child = spawn(pinnedNode, process.argv.slice(2), {
  stdio: 'inherit',
  env: { NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/compile'), ...process.env },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) forward(signal)
endWithNpm()
child.on('error', error => {
  console.error(`Cannot run ${pinnedNode}: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (!signal) process.exit(code)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})

/** npm tells a signal to the shell between it and this process, which may end of it and tell nobody. */
function endWithNpm() {
  if (!process.env.npm_lifecycle_event) return
  const shell = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === shell) return
    clearInterval(watch)
    child.kill('SIGTERM')
  }, 500)
  watch.unref()
}

/** A terminal tells its Ctrl-C to the child itself. */
function forward(signal) {
  let last = 0
  process.on(signal, () => {
    const isRepeated = Date.now() - last < sameSignal
    last = Date.now()
    if (!isRepeated && !(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal)
  })
}
