import { oneLine, SandboxError } from '../errors.ts'
import { RET_ALLOW } from '../filter/actions.ts'
import { cacheKey, FilterCache } from '../filter/cache.ts'
import { describeCall } from '../filter/call-text.ts'
import { learnedCalls } from '../filter/learned-calls.ts'
import { compileSource } from '../filter/lookup.ts'
import { findDifference } from '../filter/prove.ts'
import { returnName } from '../filter/returns.ts'
import { Simulator } from '../filter/simulate.ts'
import { print } from '../host/output.ts'
import { ACTIONS, type ViolationAction } from '../oci/annotations.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command } from './command.ts'
import { ACTION_OPTION, actionOf } from './options.ts'
import { loadPolicySubject, type PolicySubject, readFilters } from './subject.ts'
import { count } from './text.ts'

interface Check {
  readonly what: string
  readonly holds: boolean
  readonly found: string
}

export const policyVerify: Command = {
  name: 'policy verify',
  operands: 'POLICY',
  summary: 'Prove that the filter of a policy is the policy.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash.\n\n' +
    'The filter that is compiled from it, and the filters in the cache (for each action), are compared with the policy for every\n' +
    'architecture, every syscall number and every value of all arguments; a difference is shown as a call. Each call that runs\n' +
    'made must pass, with the arguments that they made it with, where those were recorded. With --filter it is raw filters that\n' +
    'are looked at, which one may have got from elsewhere. Exit code 0: all is proved; 1: something differs, or cannot be decided.',
  options: {
    filter: {
      type: 'string',
      value: 'FILE',
      multiple: true,
      help: 'raw filters, in the order in which they are installed; may be given several times. FILE.1 and so on go with FILE',
    },
    action: ACTION_OPTION,
    json: { type: 'boolean', help: 'as JSON' },
  },
  arity: [1, 1],
  async run({ operands, store, text, texts, flag }) {
    const action = actionOf(text('action'))
    const subject = await loadPolicySubject(store, operands[0] as string)
    const files = texts('filter')
    const checks: Check[] = []
    const programs = files.length > 0 ? files.flatMap(readFilters) : await compiled(subject, action)
    checks.push(check(files.join(' ') || 'compiled filter', subject, programs, action))
    if (typeof programs !== 'string') checks.push(learned(subject, programs))
    if (files.length === 0) checks.push(...cached(subject, new FilterCache(store.root)))
    const holds = checks.every((one) => one.holds)
    print(
      flag('json')
        ? `${JSON.stringify({ policy: subject.policy.name, holds, checks }, null, 2)}\n`
        : say(subject, checks),
    )
    return holds ? 0 : 1
  },
}

/** The programs, or why there are none: the compiler proves what it makes as well. */
async function compiled(subject: PolicySubject, action: ViolationAction): Promise<readonly Uint8Array[] | string> {
  try {
    return await compileSource(subject.source, action)
  } catch (error) {
    if (error instanceof SandboxError && error.code.startsWith('FILTER_')) return oneLine(error)
    throw error
  }
}

function* cached({ source, ...rest }: PolicySubject, cache: FilterCache): Generator<Check> {
  for (const action of ACTIONS) {
    const filter = cache.get(cacheKey(source.text, [source.name, action]))
    if (filter === undefined) continue
    const programs = filter.map(({ program }) => program)
    yield check(`cached filter for ${action}`, { source, ...rest }, programs, action)
  }
}

function check(
  what: string,
  { architectures }: PolicySubject,
  programs: readonly Uint8Array[] | string,
  action: ViolationAction,
): Check {
  if (typeof programs === 'string') return { what, holds: false, found: programs }
  const instructions = programs.reduce((sum, { length }) => sum + length / 8, 0)
  const size = `${count(programs.length, 'program')}, ${count(instructions, 'instruction')}`
  try {
    const witness = findDifference(programs, architectures, action)
    if (witness === undefined) return { what, holds: true, found: `is the policy (${size})` }
    const { call, found, expected } = witness
    const difference = `answers ${returnName(found)} to ${describeCall(call)}, and the policy ${returnName(expected)}`
    return { what, holds: false, found: difference }
  } catch (error) {
    return { what, holds: false, found: `cannot be proved: ${oneLine(error)}` }
  }
}

/** Whether the filter lets pass what runs did. That follows from the proof, but it is what people ask for, and needs nothing of the proof. */
function learned({ policy }: PolicySubject, programs: readonly Uint8Array[]): Check {
  const simulator = new Simulator(programs)
  const calls = learnedCalls(policy, SYSCALL_NAMES.numberOf)
  const refused = calls.filter((call) => simulator.run(call) !== RET_ALLOW)
  const [first] = refused
  const what = 'learned calls'
  if (first === undefined) return { what, holds: true, found: `all ${calls.length} pass` }
  return {
    what,
    holds: false,
    found: `${refused.length} of ${calls.length} are refused, the first is ${describeCall(first)}`,
  }
}

function say({ policy }: PolicySubject, checks: readonly Check[]): string {
  const lines = checks.map(({ what, holds, found }) => `${holds ? 'ok    ' : 'FAILED'}  ${what}: ${found}\n`)
  const holds = checks.every((one) => one.holds)
  const scope = 'for every architecture, syscall number and argument'
  return [`policy ${policy.name}: ${holds ? `proved ${scope}` : 'NOT proved'}\n`, ...lines].join('')
}
