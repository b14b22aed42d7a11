import { setTimeout as delay } from 'node:timers/promises'

/** Waits until a condition holds, looking every few milliseconds; throws, saying which one, when it does not within 20 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await delay(3)
  }
}
