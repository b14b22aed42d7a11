/**
 * The enforce hook. In createRuntime (or prestart) it puts the policy of a container that asks for io.sandbox.mode=enforce
 * into force; in poststop nothing is left to do.
 */
import { filterOf } from '../src/enforce/filter.ts'
import { installFilter } from '../src/enforce/install.ts'
import { foldPendingRuns } from '../src/learn/pending.ts'
import { requireHook } from '../src/oci/bundle.ts'
import { encodeQuestion } from '../src/oci/question.ts'
import { type HookContext, initPid } from './context.ts'

/** Returns the hook's exit code. */
export async function enforce({ settings, state, store, decision, memory }: HookContext): Promise<number> {
  const question = memory && encodeQuestion(state.status, state.annotations)
  // With debug each decision is in the journal, also one that is made again.
  const keep = settings.logLevel !== 'debug'
  if (decision.kind === 'learn') {
    requireHook(state.bundle, 'learn')
    // The bundle was looked at: another one has another answer.
    memory?.answer(question, { kind: 'pass' }, false)
    return 0
  }
  if (decision.kind === 'pass' || state.status === 'stopped') {
    memory?.answer(question, { kind: 'pass' }, keep)
    return 0
  }
  const { policy, action } = decision
  const pid = initPid(state, 'enforce')
  // A run that has just ended may not be in its policy yet.
  await foldPendingRuns(store, policy)
  const filter = await filterOf(store, policy, action, memory?.lookAtPolicy, memory?.later)
  if (memory?.answer(question, { kind: 'enforce', policy, settings, filter }, keep)) return 0
  const code = installFilter({
    pid,
    container: state.id,
    filters: filter.map(({ path }) => path),
    store: store.root,
    setNoNewPrivileges: settings.setNoNewPrivileges,
    logLevel: settings.logLevel,
  })
  if (code === 0) memory?.answer(question, { kind: 'pass' }, false)
  return code
}
