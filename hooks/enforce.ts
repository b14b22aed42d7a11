/**
 * The enforce hook. In createRuntime (or prestart) it puts the policy of a container that asks for io.sandbox.mode=enforce
 * into force; in poststop nothing is left to do.
 */
import { filterOf } from '../src/enforce/filter.ts'
import { installFilter } from '../src/enforce/install.ts'
import { foldPendingRuns } from '../src/learn/pending.ts'
import { requireHook } from '../src/oci/bundle.ts'
import { type HookContext, initPid } from './context.ts'

/** Returns the hook's exit code. */
export async function enforce({ settings, state, store, decision }: HookContext): Promise<number> {
  if (decision.kind === 'learn') requireHook(state.bundle, 'learn')
  if (decision.kind !== 'enforce' || state.status === 'stopped') return 0
  const pid = initPid(state, 'enforce')
  // A run that has just ended may not be in its policy yet.
  await foldPendingRuns(store, decision.policy)
  const programs = await filterOf(store, decision.policy, decision.action)
  return installFilter({
    pid,
    container: state.id,
    filters: programs.map(({ path }) => path),
    store: store.root,
    setNoNewPrivileges: settings.setNoNewPrivileges,
    logLevel: settings.logLevel,
  })
}
