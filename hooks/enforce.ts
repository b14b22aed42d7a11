/**
 * The enforce hook. In createRuntime (or prestart) it puts the policy of a container that asks for io.sandbox.mode=enforce
 * into force; in poststop nothing is left to do.
 */
import { filterOf } from '../src/enforce/filter.ts'
import { installFilter } from '../src/enforce/install.ts'
import type { Answer, Memory } from '../src/enforce/remember.ts'
import { foldPendingRuns } from '../src/learn/pending.ts'
import { requireHook } from '../src/oci/bundle.ts'
import { encodeQuestion } from '../src/oci/question.ts'
import type { State } from '../src/oci/state.ts'
import { type HookContext, initPid } from './context.ts'

/** Returns the hook's exit code. */
export async function enforce({ settings, state, store, decision, memory }: HookContext): Promise<number> {
  if (decision.kind === 'learn') {
    // The bundle is looked at: another one has another answer.
    requireHook(state.bundle, 'learn')
    return 0
  }
  if (decision.kind === 'pass' || state.status === 'stopped') {
    keep(memory, state, { kind: 'pass' })
    return 0
  }
  const { policy, action } = decision
  const pid = initPid(state, 'enforce')
  // A run that has just ended may not be in its policy yet.
  await foldPendingRuns(store, policy)
  const filter = await filterOf(store, policy, action, memory?.lookAtPolicy)
  const code = installFilter({
    pid,
    container: state.id,
    filters: filter.map(({ path }) => path),
    store: store.root,
    setNoNewPrivileges: settings.setNoNewPrivileges,
    logLevel: settings.logLevel,
  })
  if (code === 0) keep(memory, state, { kind: 'enforce', policy, settings, filter })
  return code
}

function keep(memory: Memory | undefined, state: State, answer: Answer): void {
  const question = memory && encodeQuestion(state)
  if (question !== undefined) memory?.keep(question, answer)
}
