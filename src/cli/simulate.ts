import { describeCall } from '../filter/call-text.ts'
import { returnName } from '../filter/returns.ts'
import { Simulator } from '../filter/simulate.ts'
import { print } from '../host/output.ts'
import { ARCH_OPTION, parseCall } from './call.ts'
import type { Command } from './command.ts'
import { ACTION_OPTION, actionOf } from './options.ts'
import { loadSubject, programsOf, SUBJECT_HELP } from './subject.ts'

export const simulate: Command = {
  name: 'simulate',
  operands: 'POLICY|FILE CALL [ARGUMENT...]',
  summary: 'Run a filter for one call, as the kernel would, and print the action.',
  details:
    `The first operand is ${SUBJECT_HELP}.\n\n` +
    'CALL is a name or a number; arguments that are left out are 0. Negative ones stand behind --.',
  options: { arch: ARCH_OPTION, action: ACTION_OPTION },
  arity: [2, 8],
  async run({ operands, store, text }) {
    const [operand, name, ...args] = operands as [string, string, ...string[]]
    const call = parseCall(name, args, text('arch'))
    const programs = await programsOf(await loadSubject(store, operand), actionOf(text('action')))
    const action = returnName(new Simulator(programs).run(call))
    print(`${action}  ${describeCall(call)}${call.name === undefined ? '' : `: ${call.name}`}\n`)
    return 0
  },
}
