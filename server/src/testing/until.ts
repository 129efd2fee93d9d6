import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every 20 ms until it is so; throws after two minutes. For what other processes and loops bring about. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await sleep(20)
  }
}
