/** What every hook starts from. */
import { type Decision, decide } from '../src/decide/decide.ts'
import type { Settings } from '../src/decide/settings.ts'
import type { Memory } from '../src/enforce/remember.ts'
import { SandboxError } from '../src/errors.ts'
import { decidingAnnotations } from '../src/oci/question.ts'
import type { State } from '../src/oci/state.ts'
import { Store } from '../src/policy/store.ts'

export interface HookContext {
  readonly settings: Settings
  readonly store: Store
  readonly state: State
  readonly decision: Decision
  /** Where the answer goes, if it is to be remembered. */
  readonly memory: Memory | undefined
}

/** Decides about a container. Throws where it must not start. */
export function hookContext(settings: Settings, given: State, memory: Memory | undefined): HookContext {
  // Nothing but what the question holds can decide.
  const state = { ...given, annotations: decidingAnnotations(given.annotations) }
  const decision = decide(state.annotations, settings)
  return { settings, store: new Store(settings.store, settings), state, decision, memory }
}

/** The pid of a container that is being created. Throws STATE_INVALID where the hook stands at another stage. */
export function initPid({ status, pid }: State, hook: string): number {
  if ((status === 'creating' || status === 'created') && pid !== undefined && pid > 1) return pid
  throw new SandboxError(
    'STATE_INVALID',
    `hook ${hook}: the container is ${status}${pid === undefined ? ', without a pid' : ` with pid ${pid}`}; put this hook into createRuntime or prestart, where the init process waits`,
  )
}
