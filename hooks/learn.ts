/**
 * The learn hook. In createRuntime (or prestart) it attaches the tracer to a container that asks for io.sandbox.mode=learn; in poststop
 * it sees to it that what was recorded gets into the policy.
 */
import { resolve } from 'node:path'
import { selfCommand } from '../src/host/paths.ts'
import { startInBackground } from '../src/host/programs.ts'
import { pendingRuns } from '../src/learn/pending.ts'
import { startLearning } from '../src/learn/start.ts'
import { requireHook } from '../src/oci/bundle.ts'
import { type HookContext, initPid } from './context.ts'

/** Returns the hook's exit code. `config`: the host configuration's path, if it is not the usual one. */
export async function learn(
  { settings, state, store, decision }: HookContext,
  config: string | undefined,
): Promise<number> {
  switch (decision.kind) {
    case 'pass':
      break
    case 'enforce':
      if (state.status !== 'stopped') requireHook(state.bundle, 'enforce')
      break
    case 'learn':
      // The runtime does not wait for the tracer's last lines, nor for a compilation. Whoever reads the policy before that is done, or where it
      // never is, merges the runs first (pending.ts): nothing depends on it.
      if (state.status === 'stopped') {
        if (pendingRuns(store, decision.policy).length === 0) break
        startInBackground([...selfCommand(), 'hook', 'settle', ...configOption(config), decision.policy])
      } else {
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

function configOption(config: string | undefined): string[] {
  return config === undefined ? [] : ['--config', resolve(config)]
}
