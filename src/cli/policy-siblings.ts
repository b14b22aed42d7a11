import { SandboxError } from '../errors.ts'
import { print } from '../host/output.ts'
import { architecturesOf } from '../policy/document.ts'
import { isUnrestricted } from '../policy/learned.ts'
import { withoutSiblings, withSiblings } from '../policy/siblings.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { syscallKey } from '../policy/syscalls.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { table } from './text.ts'

export const policySiblings: Command = {
  name: 'policy siblings',
  operands: 'POLICY',
  summary: 'Show the calls that a policy allows beside the learned ones, or add or remove them.',
  details:
    'POLICY is the name of a policy in the store. A C library or a kernel of another version may use another call for the same thing\n' +
    '(openat for open, dup3 for dup2, ...). Learning adds those that give no more power, unless the host configuration says\n' +
    '"siblings": false. What is removed here comes back with the next learned run that made such a call, unless it says so.',
  options: {
    add: { type: 'boolean', help: 'add the siblings of what was learned or imported' },
    remove: { type: 'boolean', help: 'remove all siblings' },
  },
  arity: [1, 1],
  async run({ operands, store, flag }) {
    const name = operands[0] as string
    if (flag('add') && flag('remove')) throw new SandboxError('USAGE', 'policy siblings: either --add or --remove')
    const policy = await loadPolicy(store, name)
    if (flag('add') || flag('remove')) {
      store.directory(name)
      await store.update(name, (stored) => {
        if (stored === undefined) return undefined
        return flag('add') ? withSiblings(stored, SYSCALL_NAMES) : withoutSiblings(stored)
      })
      return 0
    }
    const rows = architecturesOf(policy).flatMap(([architecture, { syscalls }]) =>
      syscalls
        .filter(({ via }) => via !== undefined)
        .map((call) => [architecture, syscallKey(call) + (isUnrestricted(call) ? '' : '*'), call.via as string]),
    )
    print(table([['ABI', 'CALL', 'INSTEAD OF'], ...rows]))
    return 0
  },
}
