import { isPolicyName } from '../policy/name.ts'
import type { Store } from '../policy/store.ts'

/** A run's record in a policy's runs/ is RUN.ndjson, as the tracer writes it; beside it stands RUN.json: what the tracer cannot know. */
export const RECORD = '.ndjson'
export const NOTE = '.json'

/** The runs whose records are not in the policy yet, oldest first. */
export function pendingRuns(store: Store, policy: string): string[] {
  const files = store.runFiles(policy)
  // A run's name is in the policy as it is: another name than a policy can hold is no run of ours.
  return files
    .filter((file) => file.endsWith(RECORD))
    .map((file) => file.slice(0, -RECORD.length))
    .filter(isPolicyName)
}

/**
 * Merges the runs that have ended into their policy (fold.ts), also those whose tracers are still writing their last lines: these are
 * waited for. Where there are none, nothing is loaded: this stands on the path of every enforced start.
 */
export async function foldPendingRuns(store: Store, policy: string): Promise<void> {
  if (pendingRuns(store, policy).length === 0) return
  const { foldRuns, settleRuns } = await import('./fold.ts')
  await settleRuns(store, policy)
  await foldRuns(store, policy)
}
