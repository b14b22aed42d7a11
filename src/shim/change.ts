/** Decision -> what is changed in a container's config.json. */
import type { Decision } from '../decide/decide.ts'
import type { Settings } from '../decide/settings.ts'
import { filterOf } from '../enforce/filter.ts'
import { tracerArguments } from '../enforce/install.ts'
import { type Method, mayTrace } from '../enforce/method.ts'
import type { CachedFilter } from '../filter/cache.ts'
import { appendJournal } from '../host/journal.ts'
import { selfCommand, tracerPath } from '../host/paths.ts'
import type { Json } from '../json.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import type { ConfigJson } from '../oci/config.ts'
import { ownCallsOf } from '../policy/calibration.ts'
import { Store } from '../policy/store.ts'
import type { Change, Hook } from './prepare.ts'

export interface ChangeRequest {
  readonly decision: Exclude<Decision, { kind: 'pass' }>
  readonly settings: Settings
  /** The absolute path of --config, for the hooks; undefined: the usual one. */
  readonly config: string | undefined
  /** How an enforced container's policy is put into force. */
  readonly method: Method
  /** Hooks for the container's end, after ours. */
  readonly atEnd: readonly Hook[]
  /** The container's id, for the journal; undefined where it is not known. */
  readonly container: string | undefined
  /** The runtime's path; several where it may be any of them (precreate). */
  readonly runtimes: readonly string[]
  readonly noNewPrivileges: boolean
  /** The bundle's own linux.seccomp. */
  readonly seccomp: Json | undefined
  /** The annotations to add. */
  readonly annotations: Readonly<Record<string, string>>
  /** Gets the descriptor of the policy's file before it is read. */
  readonly look: ((descriptor: number) => void) | undefined
  /** Keeps the filter of an enforced container until its end, and returns the paths of its programs. */
  keep(filter: CachedFilter): readonly string[]
}

export interface PreparedChange extends Change {
  /**
   * Where the helper may repeat the change: its filter, and what goes into crun's annotation. Not the way `bundle`, as what is in the bundle's
   * linux.seccomp is no part of the question; not where nobody can look at what the runtime loads; and learning rests on nothing that lasts.
   */
  readonly repeats?: {
    readonly filter: CachedFilter
    readonly crun?: { readonly program: string; readonly note: string }
  }
}

/** Throws what filterOf() throws, TRACER_FAILED. */
export async function changeFor(request: ChangeRequest): Promise<PreparedChange> {
  const { decision, settings, annotations, config } = request
  if (decision.kind === 'learn') {
    const hook = ownHook('learn', config)
    return {
      annotations,
      enforced: false,
      hooks: { createRuntime: [hook], poststop: [hook, ...request.atEnd] },
      alike: [],
    }
  }
  const store = new Store(settings.store, settings)
  // A run that has just ended may not be in its policy yet.
  await foldPendingRuns(store, decision.policy)
  const poststop = request.atEnd
  // A manifest in a hooks directory may have put its hook there already: one of them is enough, and two would not let each other attach.
  const base = { annotations, enforced: true, alike: request.method === 'exec' ? enforceHooks(config) : [] }
  const helper = (filters: readonly string[], ...options: string[]) => ({
    path: tracerPath(),
    args: ['oci-sandbox-tracer', 'enforce', '--state', ...options, ...tracerArguments({ ...settings, filters })],
  })
  // What the runtime loads itself: the helper looks at it, where it may.
  const verified = (filters: readonly string[], how: 'present' | 'within') => {
    if (mayTrace()) return { createRuntime: [helper(filters, '--install', how)], poststop }
    noteUnverified(request)
    return { createRuntime: [], poststop }
  }
  switch (request.method) {
    case 'exec': {
      const filter = await filterOf(store, decision.policy, decision.action, request.look)
      return { ...base, hooks: { createRuntime: [helper(request.keep(filter))], poststop }, repeats: { filter } }
    }
    case 'bundle': {
      const { bundleLimit, bundleSeccomp } = await import('../enforce/bundle.ts')
      const wanted = { ...decision, runtimeCalls: ownCalls(request, 'linux.seccomp').calls }
      const seccomp = bundleSeccomp(store, wanted, request.seccomp) as unknown as ConfigJson
      const limit = mayTrace() ? request.keep(await bundleLimit(store, wanted)) : []
      return { ...base, seccomp, hooks: verified(limit, 'within') }
    }
    case 'crun-bpf': {
      const { crunFilter } = await import('../enforce/crun-bpf.ts')
      const { calls: runtimeCalls, note } = ownCalls(request, "crun's annotation")
      const filter = await crunFilter(store, { ...decision, runtimeCalls }, request.look)
      const crunBpf = Buffer.from(filter.program).toString('base64')
      return {
        ...base,
        crunBpf,
        hooks: verified(request.keep([filter]), 'present'),
        ...(mayTrace() ? { repeats: { filter: [filter], crun: { program: crunBpf, note } } } : {}),
      }
    }
  }
}

function noteUnverified({ decision, settings, container }: ChangeRequest): void {
  const message = `policy ${decision.policy} is loaded by the runtime; whether it was cannot be seen, as this process may not trace others (CAP_SYS_PTRACE)`
  appendJournal(settings.store, { event: 'unverified', container, message }, settings.logLevel)
}

/** Says in the journal where they are from. Throws STORE_UNSAFE. */
function ownCalls(request: ChangeRequest, where: string): { calls: readonly string[]; note: string } {
  const { decision, settings, container } = request
  const { calls, from } = ownCallsOf(settings.store, request.runtimes, request.noNewPrivileges)
  const note = `policy ${decision.policy} in ${where}, with the runtime's own calls from ${from}`
  appendJournal(settings.store, { event: 'runtime-calls', container, message: note }, settings.logLevel)
  return { calls, note }
}

/** The hook as the manifests have it too. */
function ownHook(name: 'learn' | 'enforce', config: string | undefined): Hook {
  const [path, ...script] = selfCommand()
  return { path, args: ['oci-sandbox', ...script, 'hook', name, ...configOption(config)] }
}

/** As the manifests have it, and as those of earlier releases had it. */
function enforceHooks(config: string | undefined): Hook[] {
  const args = ['oci-sandbox-tracer', 'hook', 'enforce', ...configOption(config)]
  return [{ path: tracerPath(), args }, ownHook('enforce', config)]
}

function configOption(config: string | undefined): string[] {
  return config === undefined ? [] : ['--config', config]
}
