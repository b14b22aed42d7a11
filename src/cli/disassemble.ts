import { disassemble as list } from '../filter/disassemble.ts'
import { decodeProgram } from '../filter/program.ts'
import { print } from '../host/output.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command } from './command.ts'
import { ACTION_OPTION, actionOf } from './options.ts'
import { loadSubject, programsOf, SUBJECT_HELP } from './subject.ts'

export const disassemble: Command = {
  name: 'disassemble',
  operands: 'POLICY|FILE',
  summary: 'List the instructions of a filter.',
  details:
    `The operand is ${SUBJECT_HELP}.\n\n` +
    'A comparison shows where it leads when it holds, and where when not: "? 12 : 15".',
  options: { action: ACTION_OPTION },
  arity: [1, 1],
  async run({ operands, store, text }) {
    const subject = await loadSubject(store, operands[0] as string)
    const programs = await programsOf(subject, actionOf(text('action')))
    const listings = programs.map((bytes, index) => {
      const heading = programs.length > 1 ? `${index > 0 ? '\n' : ''}program ${index} of ${programs.length}\n` : ''
      const lines = list(decodeProgram(bytes), SYSCALL_NAMES.nameOf)
      return `${heading}${lines.join('\n')}\n`
    })
    print(listings.join(''))
    return 0
  },
}
