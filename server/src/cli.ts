#!/usr/bin/env node
import type { Io } from './cli/command.ts'
import { commands } from './cli/commands.ts'
import { runCommandLine } from './cli/run.ts'

const io: Io = {
  out: line => void process.stdout.write(`${line}\n`),
  err: line => void process.stderr.write(`${line}\n`),
  prompt: text => void process.stderr.write(text),
  stdin: process.stdin,
}

// Whoever reads the output may stop before its end, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

process.exitCode = await runCommandLine(process.argv.slice(2), io, commands)
