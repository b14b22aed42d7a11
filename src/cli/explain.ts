import { ENOSYS } from '../filter/actions.ts'
import { argumentText } from '../filter/call-text.ts'
import type { Verdict } from '../filter/evaluate.ts'
import { type Explanation, explain as explainCall } from '../filter/explain.ts'
import { verdictsOf } from '../filter/meaning.ts'
import { returnName } from '../filter/returns.ts'
import type { AllowedSyscall } from '../generated/policy.ts'
import { print } from '../host/output.ts'
import { architecturesOf } from '../policy/document.ts'
import { DEFAULT_WIDENING } from '../policy/widen.ts'
import { ARCH_OPTION, parseCall, type TypedCall } from './call.ts'
import type { Command } from './command.ts'
import { ACTION_OPTION, actionOf } from './options.ts'
import { loadPolicySubject, type PolicySubject } from './subject.ts'
import { count as number } from './text.ts'

export const explain: Command = {
  name: 'explain',
  operands: 'POLICY CALL [ARGUMENT...]',
  summary: 'Say why a policy allows or refuses a call, and which run made it first.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. CALL is a name or a number; arguments that are left out\n' +
    'are 0. Negative ones stand behind --.',
  options: { arch: ARCH_OPTION, action: ACTION_OPTION, json: { type: 'boolean', help: 'as JSON' } },
  arity: [2, 8],
  async run({ operands, store, text, flag }) {
    const [operand, name, ...args] = operands as [string, string, ...string[]]
    const subject = await loadPolicySubject(store, operand)
    const call = parseCall(name, args, text('arch'))
    const verdicts = verdictsOf(actionOf(text('action')))
    const entry = entryOf(subject, call)
    const resolved = subject.architectures.find((architecture) => architecture.name === call.architecture)
    const explanation = explainCall(resolved, entry, call.number, call.args, elsewhere(subject, call))
    const returns = returnName(explanation.verdict === 'allow' ? verdicts.allow : verdicts[explanation.verdict])
    const own = entry === undefined ? [] : provenance(subject, entry)
    const seen = [...own, ...(subject.policy.comments ?? []).map((comment) => `comment on the policy: ${comment}`)]
    if (flag('json')) print(`${JSON.stringify(asJson(call, explanation, returns, entry, seen), null, 2)}\n`)
    else {
      const lines = [...explanation.why, ...seen].map((line) => `  ${line}\n`)
      print(`${describe(call)}: ${SAY[explanation.verdict]} (${returns})\n${lines.join('')}`)
    }
    return 0
  },
}

const SAY: Record<Verdict, string> = { allow: 'allowed', refuse: 'refused', enosys: `answered with ENOSYS (${ENOSYS})` }

function describe({ architecture, name, number, args }: TypedCall): string {
  return `${architecture} ${name ?? `syscall ${number}`}(${args.map(argumentText).join(', ')})`
}

/** What the policy's document has of a call. */
function entryOf({ policy }: PolicySubject, { architecture, name, number }: TypedCall): AllowedSyscall | undefined {
  return policy.architectures[architecture]?.syscalls.find((syscall) =>
    syscall.number === undefined ? syscall.name === name : syscall.number === number,
  )
}

/** The other architectures of the policy that have a call of this name. */
function elsewhere({ policy }: PolicySubject, { architecture, name }: TypedCall): string[] {
  const others = architecturesOf(policy).filter(([other]) => other !== architecture)
  return others
    .filter(([, { syscalls }]) => name !== undefined && syscalls.some((syscall) => syscall.name === name))
    .map(([other]) => other)
}

/** Where an entry came from. */
function provenance(
  { policy }: PolicySubject,
  { since, again, count, via, reasons, comments, widening: own, learned }: AllowedSyscall,
): string[] {
  const lines: string[] = []
  const runText = (id: string) => {
    const run = policy.runs.find((candidate) => candidate.id === id)
    const program = run?.program === undefined ? '' : `, ${run.program.path}`
    return run === undefined ? `run ${id}` : `run ${id} (${run.started}${program})`
  }
  if (since !== undefined) lines.push(`first made by ${runText(since)}`)
  if (again !== undefined) lines.push(`and then by ${runText(again)}`)
  if (count !== undefined) lines.push(`made at most ${number(count, 'time')} in one run`)
  if (learned !== undefined) {
    const places = learned.arguments.map((index) => `argument ${index}`).join(' and ')
    const widening = own ?? policy.widening ?? DEFAULT_WIDENING
    lines.push(`seen with ${number(learned.values.length, 'value')} of ${places}, widened (${widening})`)
  }
  if (via !== undefined)
    lines.push(
      `no run made it: it stands beside ${via}, which a C library or kernel of another version may use it instead of`,
    )
  for (const reason of reasons ?? []) lines.push(`a person allowed it: ${reason}`)
  for (const comment of comments ?? []) lines.push(`comment: ${comment}`)
  return lines
}

function asJson(
  { architecture, name, number, args }: TypedCall,
  { verdict, why }: Explanation,
  returns: string,
  entry: AllowedSyscall | undefined,
  provenance: readonly string[],
) {
  return {
    architecture,
    name,
    number,
    arguments: args.map(String),
    verdict,
    returns,
    why,
    since: entry?.since,
    count: entry?.count,
    provenance,
  }
}
