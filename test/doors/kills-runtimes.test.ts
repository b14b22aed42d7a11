/** The parts of a runtime on the command line, killed at random moments: no container runs unfiltered. */
import tap, { test } from 'tap'
import { needs } from '../lib/needs.ts'
import { DOORS, programsOf } from './doors.ts'
import { type Kind, killAtRandom } from './kills.ts'

/** Of each door. Now and then there is nothing to be killed at the moment that was chosen. */
const KILLS = process.env.TEST_ALL ? 200 : 30

const KINDS = {
  'runc with hooks': ['runtime', 'init', 'hook', 'tracer'],
  'runc behind the shim': ['runtime', 'init', 'shim', 'tracer'],
  'runc exec behind the shim': ['runtime', 'init', 'shim', 'tracer'],
  'runc, filter in linux.seccomp': ['runtime', 'init', 'shim', 'tracer'],
  'crun with hooks': ['runtime', 'hook', 'tracer'],
  'crun behind the shim': ['runtime', 'shim', 'tracer'],
  "crun, filter in crun's annotation": ['runtime', 'shim', 'tracer'],
} as const satisfies Partial<Record<keyof typeof DOORS, readonly Kind[]>>

// Far more than it takes, with TEST_ALL too.
tap.setTimeout(1_800_000)

for (const [name, kinds] of Object.entries(KINDS)) {
  test(`${name}: ${KILLS} kills at random moments`, { timeout: 600_000, ...needs(...programsOf(name)) }, async (t) => {
    const { unfiltered, ran, killed } = await killAtRandom(await DOORS[name as keyof typeof KINDS](t), KILLS, kinds)
    t.same(unfiltered, [], 'no program ran without its filter')
    t.comment(`killed: ${JSON.stringify(killed)}; ${ran} of ${KILLS} programs ran nevertheless, filtered`)
  })
}
