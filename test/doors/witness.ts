/**
 * What a container's program does to tell whether it is filtered, without anyone who looks at the right moment: first it makes a call that
 * nobody learned, which leaves a directory behind where no filter refuses it; then one that was learned, which leaves a file.
 * Its output tells nothing: what carries it may have been killed (and podman 4.3.1 with crun loses some of it now and then).
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from '../lib/sandbox.ts'
import type { Door } from './doors.ts'

/** The program's arguments; `then` must have been learned. */
export function witness(name: string, ...then: string[]): string[] {
  return ['mkdir', `/tmp/${name}.unfiltered`, 'note', `/tmp/${name}.ran`, ...then]
}

export function ran({ tmp }: Sandbox, name: string): boolean {
  return existsSync(join(tmp, `${name}.ran`))
}

export function ranUnfiltered({ tmp }: Sandbox, name: string): boolean {
  return existsSync(join(tmp, `${name}.unfiltered`))
}

/** Learns what witness() does but for the call that must be refused, and ends with this exit code. */
export async function learnWitness(door: Door, exitCode: number) {
  const args = ['note', '/tmp/learn.ran', 'sleep', '0', 'exit', String(exitCode)]
  const name = `learn${process.pid}`
  const { ended } = await door.begin(name, 'learn', args)
  const result = await ended
  await door.remove(name)
  return result
}
