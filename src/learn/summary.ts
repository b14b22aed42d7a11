/** A run that is in its policy, in a line. Pure. */
import { count } from '../count.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { policyStatus } from '../policy/status.ts'

/** Undefined where the policy does not have it. */
export function runSummary(policy: PolicyDocument, id: string): string | undefined {
  const run = policy.runs.find((one) => one.id === id)
  if (run === undefined) return undefined
  const fresh = policyStatus(policy).runs.find((one) => one.id === id)?.new ?? 0
  const state = run.complete ? 'complete' : `partial (${whyPartial(run)})`
  const calls = run.counts === 'at-least' ? `at least ${count(run.calls, 'call')}` : count(run.calls, 'call')
  return `policy ${policy.name}: run ${state}, ${calls}, ${run.distinct} different, ${fresh} new, ${count(run.tasks, 'task')}`
}

/** Of a run that came to its end, what it lost. */
function whyPartial({ reason, lost, otherFilters }: PolicyDocument['runs'][number]): string {
  const losses = [
    ...(lost.tasks > 0 ? [`${count(lost.tasks, 'task')} lost`] : []),
    ...(lost.calls > 0 ? [`${count(lost.calls, 'call')} lost`] : []),
    ...(lost.writes > 0 ? [`${count(lost.writes, 'line')} lost`] : []),
    ...(otherFilters === true ? ['another filter hid calls'] : []),
  ]
  return [reason, ...losses].join(', ')
}
