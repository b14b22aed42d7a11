/**
 * Runs a filter for all calls at once. Each state stands for a set of architectures and a set of numbers that take the same way; a
 * comparison splits them. Where a way first compares an argument, the rest of it becomes a node of a Diagram (argument-part.ts).
 */
import { ArgumentPart } from './argument-part.ts'
import { type Calls, MAX_WORD, split, valuesOf } from './calls.ts'
import { holds } from './content.ts'
import { type Diagram, WORD_ARCH, WORD_NUMBER } from './diagram.ts'
import { JA, JEQ, JMP, type Program, RET_A, RET_K, X } from './program.ts'
import { type Ranges, takeOne } from './ranges.ts'
import { advance, comparand, NUMBER, type Registers, returned, START } from './registers.ts'
import { effectOf } from './returns.ts'

export interface Cell {
  readonly calls: Calls
  readonly node: number
}

interface State {
  at: number
  registers: Registers
  calls: Calls
}

/** The node of a cell whose actions depend on arguments, where they are not worked out. */
export const OPEN = -1

export interface CellOptions {
  /** The calls to look at; default: all. Is used up. */
  readonly calls?: Calls
  /** Do not look at what comes behind the first comparison of an argument: such cells get the node OPEN. */
  readonly outline?: boolean
}

/** `program` must be one that the kernel takes. The cells hold each call once. Throws Undecidable. */
export function cellsOf(
  diagram: Diagram,
  program: Program,
  { calls: given, outline = false }: CellOptions = {},
): Cell[] {
  const { code, k, jumpTrue, jumpFalse } = program
  const cells: Cell[] = []
  const argumentPart = new ArgumentPart(diagram, program)
  const states: State[] = [
    {
      at: 0,
      registers: START,
      calls: given ?? [
        [0, MAX_WORD],
        [0, MAX_WORD],
      ],
    },
  ]
  for (let state = states.pop(); state !== undefined; ) {
    const { at, registers, calls } = state
    const opcode = code[at] as number
    const operand = k[at] as number
    if (opcode === RET_K || opcode === RET_A) {
      cells.push({ calls, node: diagram.end(effectOf(opcode === RET_K ? operand : returned(registers, at))) })
      state = states.pop()
    } else if (opcode === JA) {
      state.at = at + 1 + operand
    } else if ((opcode & 0x07) !== JMP) {
      state.registers = advance(registers, opcode, operand, at)
      state.at = at + 1
    } else if (opcode === JEQ && registers.a === NUMBER) {
      // What filters mostly consist of.
      const yes = at + 1 + (jumpTrue[at] as number)
      state.at = at + 1 + (jumpFalse[at] as number)
      if (takeOne(calls[WORD_NUMBER], operand)) {
        const inside: Calls = [[operand, operand], [...calls[WORD_ARCH]]]
        const none = calls[WORD_NUMBER].length === 0
        if (code[yes] === RET_K) {
          cells.push({ calls: inside, node: diagram.end(effectOf(k[yes] as number)) })
          if (none) state = states.pop()
        } else {
          if (!none) states.push(state)
          state = { at: yes, registers, calls: inside }
        }
      }
    } else {
      const { a } = registers
      const compared = comparand(registers, opcode, operand, at)
      const operation = opcode & ~X
      const yes = at + 1 + (jumpTrue[at] as number)
      const no = at + 1 + (jumpFalse[at] as number)
      if (a.mask === 0) {
        state.at = holds(operation, a.flip, compared) ? yes : no
      } else if (a.word <= WORD_ARCH) {
        const inside = split(calls, a.word, valuesOf(diagram, operation, a, compared, at))
        if (inside === undefined) state.at = no
        else {
          if ((calls[a.word] as Ranges).length > 0) states.push({ at: no, registers, calls })
          state = { at: yes, registers, calls: inside }
        }
      } else {
        const answer = outline ? OPEN : argumentPart.node(at, registers, calls)
        if (typeof answer === 'number') {
          cells.push({ calls, node: answer })
          state = states.pop()
        } else {
          states.push({ at, registers, calls: split(calls, answer.word, answer.values) as Calls })
        }
      }
    }
  }
  return cells
}
