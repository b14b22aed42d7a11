/** The parts of container engines, killed at random moments: no container runs unfiltered. */
import tap, { test } from 'tap'
import { needs } from '../lib/needs.ts'
import { DOORS, programsOf } from './doors.ts'
import { type Kind, killAtRandom } from './kills.ts'

/** Of each door. Now and then there is nothing to be killed at the moment that was chosen. */
const KILLS = process.env.TEST_ALL ? 100 : 20

const RUNTIME: readonly Kind[] = ['client', 'monitor', 'runtime', 'init', 'tracer']

const KINDS = {
  'podman with hook manifests': [...RUNTIME, 'hook'],
  'podman behind the shim': [...RUNTIME, 'shim'],
  'podman and crun with precreate': [...RUNTIME, 'hook'],
  'podman and crun behind the shim': [...RUNTIME, 'shim'],
  'containerd: ctr': [...RUNTIME, 'shim'],
  "Kubernetes' way: CRI": ['monitor', 'runtime', 'init', 'tracer', 'shim'],
  Docker: [...RUNTIME, 'shim'],
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
