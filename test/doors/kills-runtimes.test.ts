/** The parts of a runtime on the command line, killed at random moments: no container runs unfiltered. */
import { testKills } from './kills.ts'

/** Of each door. Now and then there is nothing to be killed at the moment that was chosen. */
const KILLS = process.env.TEST_ALL ? 200 : 30

testKills(KILLS, {
  'runc with hooks': ['runtime', 'init', 'hook', 'tracer'],
  'runc behind the shim': ['runtime', 'init', 'shim', 'tracer'],
  'runc exec behind the shim': ['runtime', 'init', 'shim', 'tracer'],
  'runc, filter in linux.seccomp': ['runtime', 'init', 'shim', 'tracer'],
  'crun with hooks': ['runtime', 'hook', 'tracer'],
  'crun behind the shim': ['runtime', 'shim', 'tracer'],
  "crun, filter in crun's annotation": ['runtime', 'shim', 'tracer'],
})
