/** The parts of container engines, killed at random moments: no container runs unfiltered. */
import { type Kind, testKills } from './kills.ts'

/** Of each door. Now and then there is nothing to be killed at the moment that was chosen. */
const KILLS = process.env.TEST_ALL ? 100 : 20

const RUNTIME: readonly Kind[] = ['client', 'monitor', 'runtime', 'init', 'tracer']

testKills(KILLS, {
  'podman with hook manifests': [...RUNTIME, 'hook'],
  'podman behind the shim': [...RUNTIME, 'shim'],
  'podman and crun with precreate': [...RUNTIME, 'hook'],
  'podman and crun behind the shim': [...RUNTIME, 'shim'],
  'containerd: ctr': [...RUNTIME, 'shim'],
  "Kubernetes' way: CRI": ['monitor', 'runtime', 'init', 'tracer', 'shim'],
  Docker: [...RUNTIME, 'shim'],
})
