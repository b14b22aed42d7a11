/** Policy -> libseccomp's pseudo filter code, for people. */
import type { Filter, Seccomp } from 'seccomp-bpf-wasm'
import { oneLine } from '../../errors.ts'
import type { PolicyDocument } from '../../generated/policy.ts'
import type { ViolationAction } from '../../oci/annotations.ts'
import { ARGUMENT_BITS, type ArchitectureName, architecturesOf } from '../document.ts'
import { plainRules } from '../ranges.ts'
import { decodeUint64 } from '../uint64.ts'
import { impossible } from './one-list.ts'

const ACTION = {
  errno: { kind: 'errno', errno: 1 },
  kill: { kind: 'killProcess' },
  log: { kind: 'log' },
} as const

/** Throws EXPORT_IMPOSSIBLE where libseccomp cannot hold a call or a rule. */
export function pseudoFilterCode(seccomp: Seccomp, policy: PolicyDocument, action: ViolationAction): string {
  const lists = architecturesOf(policy)
  if (lists.length === 0) throw impossible(policy, 'it allows nothing; learn the container first')
  const newer =
    action === 'log' ? [] : lists.map(([name, { known }]) => `# ${name}: numbers above ${known} get ENOSYS first\n`)
  const texts = lists.map(([name]) => oneArchitecture(seccomp, policy, name, action))
  return [`# policy ${policy.name}\n`, ...newer, ...texts].join('')
}

function oneArchitecture(
  seccomp: Seccomp,
  policy: PolicyDocument,
  architecture: ArchitectureName,
  violation: ViolationAction,
): string {
  const action = ACTION[violation]
  let filter: Filter | undefined
  try {
    filter = seccomp.filter({ defaultAction: action, badArchAction: action, architectures: [architecture] })
    for (const { name, number, rules = [[]] } of policy.architectures[architecture]?.syscalls ?? []) {
      const call = name ?? `#${number}`
      for (const rule of plainRules(rules, call, ARGUMENT_BITS[architecture])) {
        const comparisons = rule.map(({ index, op, value, mask }) => ({
          index,
          op: op as Exclude<typeof op, 'range'>,
          value: decodeUint64(value),
          ...(mask === undefined ? {} : { mask: decodeUint64(mask) }),
        }))
        filter.addExact({ kind: 'allow' }, name ?? (number as number), comparisons)
      }
    }
    return filter.toPFC()
  } catch (error) {
    throw impossible(policy, oneLine(error))
  } finally {
    filter?.free()
  }
}
