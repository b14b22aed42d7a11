/** All that is tried in a virtual machine with one kernel. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { buildGuest, buildTracer, guest, kernelOf, tracer } from './build.ts'
import { testEnforcing } from './enforcing.ts'
import { testLearning } from './learning.ts'
import { type Boot, contentOf, execute } from './machine.ts'
import { filesOf, KNOWN, LONG, type Programs } from './programs.ts'
import { testWholeProgram } from './whole.ts'

/** Seconds that one start of a machine may take; with nothing else to do it takes 5 for a few programs, 20 for all. */
const PATIENCE = 300

/** Learning and enforcing with the kernel of one of Debian's suites, which is the name of a sub-test. */
export function testSuite(t: Test, suite: string, programs: Programs): void {
  const kernel = kernelOf(suite)
  const skip = !existsSync(kernel) && "test/arm64/fetch could not fetch its kernel from Debian's archive"
  const timeout = 4 * PATIENCE * 1000
  t.setTimeout(timeout)
  t.comment(`timeout=${timeout}`) // for the process that runs the test files
  t.test(`a virtual arm64 machine, kernel of ${suite}`, { skip, timeout }, async (t) => {
    await buildTracer()
    await buildGuest()
    const directory = await mkdtemp(join(tmpdir(), 'arm64-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const own = {
      ...(await contentOf(guest, filesOf(programs))),
      init: await readFile(join(guest, 'init')),
      'bin/tracer': await readFile(tracer),
      known: Buffer.from(KNOWN.map((call) => `${call}\n`).join('')),
    }
    const boot: Boot = async (files, commands) => {
      const { steps, console } = await execute(directory, kernel, { ...own, ...files }, commands, PATIENCE)
      if (!console.includes('\n@over\n'))
        throw new Error(`the machine did not come to its end: ${console.slice(-2000)}`)
      return steps
    }
    const learned = await testLearning(t, programs, boot)
    await testEnforcing(t, programs, directory, boot, learned)
    if (programs === LONG) testWholeProgram(t, suite, boot)
  })
}
