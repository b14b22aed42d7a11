/** Shows a learned policy as `oci-sandbox policy show` prints it. */
import { execa } from 'execa'
import { OCI_SANDBOX } from './paths.ts'
import type { Report } from './report.ts'

/** Prints and checks the policy; the result is the number of syscalls that it allows. */
export async function showPolicy(report: Report, config: string, name: string, runs: number): Promise<number> {
  report.stage(`The policy ${name}`)
  const show = async (...flags: string[]) =>
    (await execa(OCI_SANDBOX, ['--config', config, 'policy', 'show', name, ...flags])).stdout
  report.detail(await show())
  const policy: Policy = JSON.parse(await show('--json'))
  const whole = policy.runs.filter(({ complete }) => complete).length
  const found = `complete: ${policy.complete}, with ${whole} complete runs`
  report.check(`it is complete: nothing was lost in its ${runs} runs`, policy.complete && whole === runs, found)
  return Object.values(policy.architectures).reduce((sum, { syscalls }) => sum + syscalls.length, 0)
}

/** The part of the policy document (schema/policy.schema.json) that is read here. */
type Policy = {
  complete: boolean
  runs: { complete: boolean }[]
  architectures: Record<string, { syscalls: unknown[] }>
}
