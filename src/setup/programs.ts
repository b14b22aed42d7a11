/** Whether a program that somebody's configuration names is there and is what it should be. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { VERSION } from '../version.ts'
import type { Finding } from './finding.ts'

type Doubt = Pick<Finding, 'state' | 'found' | 'remedy'>

const REINSTALL = 'run make install, and oci-sandbox install again; or remove what names it with oci-sandbox uninstall'

/** Write permission of group and others (inode(7)). */
const WRITABLE_BY_OTHERS = 0o022

/** Undefined where nothing is wrong. `missing`: what its user makes of it. */
export function doubtFile(path: string, missing: string): Doubt | undefined {
  const problem = (what: string, remedy = REINSTALL): Doubt => ({ state: 'problem', found: `${path} ${what}`, remedy })
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return problem(`is not there: ${missing}`)
  if (!stats.isFile()) return problem(`is no file: ${missing}`)
  if (stats.uid !== 0 || (stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    return problem('can be changed by others than root, and is run as root', `chown root ${path}; chmod 755 ${path}`)
  }
  try {
    accessSync(path, constants.X_OK)
    return undefined
  } catch {
    return problem(`cannot be executed: ${missing}`, `chmod 755 ${path}`)
  }
}

/**
 * Asks a program for its name: a Bun binary that was stripped ends with exit code 0 having done nothing, and a hook that does nothing
 * lets every container start without its sandbox.
 */
export function doubtVersion(path: string, name = 'oci-sandbox'): Doubt | undefined {
  const options = { env: {}, cwd: '/', encoding: 'utf8', timeout: 30_000 } as const
  const { stdout, status } = spawnSync(path, ['--version'], options)
  const answer = (stdout ?? '').trim()
  if (status === 0 && answer === `${name} ${VERSION}`) return undefined
  if (status === 0 && answer.startsWith(`${name} `) && /^\S+ \S+$/.test(answer)) {
    return {
      state: 'warning',
      found: `${path} is ${answer}, and this is ${VERSION}`,
      remedy: 'install one of them, and remove the other',
    }
  }
  const found = `${path} does not answer "${name} ${VERSION}" to --version (a stripped binary does nothing): containers would start without their sandbox`
  return { state: 'problem', found, remedy: REINSTALL }
}

/** What becomes of the helper's questions: where it looks for the program (tracer/repeat/hook.c), that must be there. */
export function doubtAsked(helper: string): Doubt | undefined {
  const home = dirname(realpathSync(helper))
  const places = [join(home, 'oci-sandbox'), join(home, '../../bin/oci-sandbox')]
  const found = places.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
  if (found !== undefined) return doubtFile(found, 'no container starts') ?? doubtVersion(found)
  return {
    state: 'problem',
    found: `${helper} asks oci-sandbox about containers, which is neither ${places.join(' nor ')}: no container starts`,
    remedy: REINSTALL,
  }
}
