/**
 * The learn hook. In createRuntime (or prestart) it attaches the tracer to a container that asks for io.sandbox.mode=learn; in poststop
 * it merges what was recorded into the policy.
 */

import type { Settings } from '../src/decide/settings.ts'
import { filterOf } from '../src/enforce/filter.ts'
import { SandboxError } from '../src/errors.ts'
import { foldPendingRuns } from '../src/learn/pending.ts'
import { startLearning } from '../src/learn/start.ts'
import type { ViolationAction } from '../src/oci/annotations.ts'
import { requireHook } from '../src/oci/bundle.ts'
import type { Store } from '../src/policy/store.ts'
import { type HookContext, initPid } from './context.ts'

/** Returns the hook's exit code. */
export async function learn({ settings, state, store, decision }: HookContext): Promise<number> {
  switch (decision.kind) {
    case 'pass':
      break
    case 'enforce':
      if (state.status !== 'stopped') requireHook(state.bundle, 'enforce')
      break
    case 'learn':
      if (state.status === 'stopped') await finishLearning(store, decision.policy, state.id, settings)
      else {
        const pid = initPid(state, 'learn')
        const { setNoNewPrivileges, learn } = settings
        await startLearning(store, {
          ...decision,
          container: state.id,
          pid,
          backend: learn.backend,
          setNoNewPrivileges,
        })
      }
  }
  return 0
}

/** Merges the run into its policy, and compiles that, so that the first enforced start finds its filter in the cache. */
async function finishLearning(store: Store, policy: string, container: string, { actions }: Settings): Promise<void> {
  await foldPendingRuns(store, policy, container)
  try {
    await filterOf(store, policy, actions[0] as ViolationAction)
  } catch (error) {
    // A policy that allows nothing yet, or cannot be enforced: the enforce hook will say so.
    if (!(error instanceof SandboxError)) throw error
  }
}
