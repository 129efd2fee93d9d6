import { spawnSync } from 'node:child_process'
import fs from 'node:fs'

/** Servers that tests run against, as Debian packages, with a program that tells whether one is there. */
const servers: readonly { name: string; package: string; program: string }[] = [
  { name: 'RabbitMQ', package: 'rabbitmq-server', program: 'rabbitmq-server' },
  { name: 'Redis', package: 'redis-server', program: 'redis-server' },
  { name: 'Chromium', package: 'chromium', program: 'chromium' },
]

/**
 * Installs what is missing, where this is root's Debian. Returns the names of those that are still missing:
 * their tests skip, and with CI=true the run fails.
 */
export function installServers(needed = servers): string[] {
  const missing = () => needed.filter(({ program }) => !isInstalled(program))
  const packages = missing().map(server => server.package)
  if (packages.length > 0 && process.getuid?.() === 0 && fs.existsSync('/etc/debian_version')) {
    console.log(`Installing ${packages.join(', ')} for the tests ...`)
    for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]]) aptGet(args)
  }
  return missing().map(({ name }) => name)
}

function isInstalled(program: string): boolean {
  const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  return folders.some(folder => fs.existsSync(`${folder}/${program}`))
}

function aptGet(args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('apt-get', ['-qq', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (status !== 0) console.log(`apt-get ${args.join(' ')} failed:\n${stdout}${stderr}`)
}
