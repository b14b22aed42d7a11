/** What doctor looks at. Each check tries the thing itself; none infers it from a version. */
import { spawnSync } from 'node:child_process'
import type { Settings } from '../decide/settings.ts'
import { oneLine } from '../errors.ts'
import { compileFilter } from '../filter/compile.ts'
import { seccompLibrary } from '../filter/library.ts'
import { trustedDirectory } from '../host/files.ts'
import { selfCommand, tracerPath } from '../host/paths.ts'
import { runTracer } from '../host/tracer.ts'
import type { Tree } from '../host/tree.ts'
import { isObject, type Json, parseJson } from '../json.ts'
import { POLICY_VERSION } from '../policy/document.ts'
import { attempt, type Finding } from '../setup/finding.ts'
import { inspectHooks } from '../setup/inspect-hooks.ts'
import { inspectRuntimes } from '../setup/inspect-runtimes.ts'
import { findRuntime } from '../shim/runtime.ts'
import { VERSION } from '../version.ts'
import { calibrationFinding } from './calibration.ts'

const RUNTIMES = ['runc', 'crun']

export interface Scope {
  /** The system whose configuration files are looked at. */
  readonly tree: Tree
  /** Hook directories besides those that podman is known to read. */
  readonly hooks: readonly string[]
  /** The path of the runtime whose calibration is looked at; undefined: it is not installed. */
  readonly runtime: string | undefined
}

export function* checks(settings: Settings, { tree, hooks, runtime: path }: Scope): Generator<Finding> {
  yield attempt('program', selfTest, 'install it again with make install; a stripped binary does nothing')
  yield attempt('compiler', compileSelfTest, 'install it again with make install')
  const probe = probeKernel()
  yield attempt('helper', () => tracerPath(), 'install it again with make install')
  yield* kernel(probe)
  yield store(settings.store)
  for (const runtime of new Set([settings.runtime, ...RUNTIMES])) yield runtimeVersion(runtime, settings)
  if (path !== undefined) yield calibrationOf(settings.store, path)
  yield* inspectHooks(tree, settings, hooks)
  yield* inspectRuntimes(tree)
}

/** A Bun binary that was stripped ends with exit code 0 having done nothing, which would let a hook fail open: so ask it for its name. */
function selfTest(): string {
  const [program, ...args] = selfCommand()
  const { stdout, status } = spawnSync(program, [...args, '--version'], { env: {}, cwd: '/', encoding: 'utf8' })
  const expected = `oci-sandbox ${VERSION}`
  if (status !== 0 || stdout.trim() !== expected)
    throw new Error(`${program} does not answer "${expected}" to --version`)
  return expected
}

function compileSelfTest(): string {
  const library = seccompLibrary()
  const syscalls = [{ name: 'read' }, { name: 'exit_group' }]
  const policy = {
    version: POLICY_VERSION,
    name: 'doctor',
    complete: false,
    architectures: { x86_64: { known: 400, syscalls } },
    runs: [],
  }
  const [program = new Uint8Array()] = compileFilter(library, { ...policy, version: POLICY_VERSION }, 'errno')
  return `libseccomp ${library.version} compiles a policy to ${program.length / 8} instructions`
}

type Probe = { [key: string]: Json }

function probeKernel(): Probe | Error {
  try {
    const answer = parseJson(runTracer(['probe']))
    return isObject(answer) ? answer : new Error('the helper answers no object')
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function* kernel(probe: Probe | Error): Generator<Finding> {
  if (probe instanceof Error) {
    yield { check: 'kernel', state: 'problem', found: oneLine(probe), remedy: 'run doctor as root, outside containers' }
    return
  }
  const need = (check: string, keys: readonly string[], good: string, bad: string, remedy: string): Finding =>
    keys.every((key) => probe[key] === true)
      ? { check, state: 'ok', found: good }
      : { check, state: 'problem', found: bad, remedy }
  yield { check: 'kernel', state: 'ok', found: `${probe.kernel} ${probe.machine}` }
  yield need(
    'learn',
    ['ptraceSeize', 'syscallInfo'],
    'ptrace works',
    'ptrace is refused',
    'run as root; check kernel.yama.ptrace_scope and the seccomp profile of this shell',
  )
  yield need(
    'enforce',
    ['earlyInstall'],
    'a filter can be installed before the program starts',
    'a filter cannot be installed before the program starts',
    'needs root in the initial user namespace and a kernel with CONFIG_SECCOMP_FILTER and CONFIG_CHECKPOINT_RESTORE',
  )
}

function store(path: string): Finding {
  try {
    const there = trustedDirectory(path)
    return { check: 'store', state: 'ok', found: there ? path : `${path} (is made by the first learned run)` }
  } catch (error) {
    return { check: 'store', state: 'problem', found: oneLine(error), remedy: `chown root ${path}; chmod go-w ${path}` }
  }
}

function calibrationOf(store: string, runtime: string): Finding {
  try {
    return calibrationFinding(store, runtime)
  } catch (error) {
    return {
      check: 'calibration',
      state: 'problem',
      found: oneLine(error),
      remedy: `chown root ${store}/runtimes; chmod go-w it`,
    }
  }
}

/** As the shim finds it. */
function runtimeVersion(runtime: string, settings: Settings): Finding {
  const configured = runtime === settings.runtime
  const remedy = configured ? { remedy: 'set runtime in the host configuration' } : {}
  let path: string
  try {
    path = findRuntime(runtime)
  } catch (error) {
    const found = configured
      ? `oci-sandbox-runtime cannot become ${runtime}: ${oneLine(error)}`
      : `${runtime} is not installed`
    return { check: runtime, state: 'warning', found, ...remedy }
  }
  const { stdout, status } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  if (status === 0) return { check: runtime, state: 'ok', found: stdout.split('\n', 1)[0] ?? '' }
  const found = `${path} --version fails: it does not look like an OCI runtime`
  return { check: runtime, state: configured ? 'problem' : 'warning', found, ...remedy }
}
