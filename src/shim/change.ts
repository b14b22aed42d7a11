/** Decision -> what is changed in a container's config.json. */
import type { Decision } from '../decide/decide.ts'
import type { Settings } from '../decide/settings.ts'
import { filterOf } from '../enforce/filter.ts'
import { tracerArguments } from '../enforce/install.ts'
import type { CachedFilter } from '../filter/cache.ts'
import { selfCommand, tracerPath } from '../host/paths.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import { Store } from '../policy/store.ts'
import type { Change, Hook } from './prepare.ts'

export interface ChangeRequest {
  readonly decision: Exclude<Decision, { kind: 'pass' }>
  readonly settings: Settings
  /** The absolute path of --config, for the hooks; undefined: the usual one. */
  readonly config: string | undefined
  /** The annotations to add. */
  readonly annotations: Readonly<Record<string, string>>
  /** Keeps the filter of an enforced container until its end, and returns the paths of its programs. */
  keep(filter: CachedFilter): readonly string[]
}

/** Throws what filterOf() throws, TRACER_FAILED. */
export async function changeFor(request: ChangeRequest): Promise<Change> {
  const { decision, settings, annotations, config } = request
  if (decision.kind === 'learn') {
    const hook = ownHook('learn', config)
    return { annotations, enforced: false, hooks: { createRuntime: [hook], poststop: [hook] }, alike: [] }
  }
  const store = new Store(settings.store, settings)
  // A run that has just ended may not be in its policy yet.
  await foldPendingRuns(store, decision.policy)
  const filters = request.keep(await filterOf(store, decision.policy, decision.action))
  const hook = ownHook('enforce', config)
  const early = {
    path: tracerPath(),
    args: ['oci-sandbox-tracer', 'enforce', '--state', ...tracerArguments({ ...settings, filters })],
  }
  // A manifest in a hooks directory may have put its hook there already: one of them is enough, and two would not let each other attach.
  return { annotations, enforced: true, hooks: { createRuntime: [early], poststop: [hook] }, alike: [hook] }
}

/** The hook as the manifests have it too. */
function ownHook(name: 'learn' | 'enforce', config: string | undefined): Hook {
  const [path, ...script] = selfCommand()
  const options = config === undefined ? [] : ['--config', config]
  return { path, args: ['oci-sandbox', ...script, 'hook', name, ...options] }
}
