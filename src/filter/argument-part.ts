/**
 * The part of a filter from the first comparison of an argument on: a graph of comparisons, turned into a node of a Diagram from its
 * ends backwards. Jumps only go forward, so each comparison (with each content of the registers) is looked at once.
 */
import { type Calls, valuesOf } from './calls.ts'
import { type Content, condition, holds } from './content.ts'
import { type Diagram, WORD_ARCH } from './diagram.ts'
import { JA, JMP, type Program, RET_A, RET_K, X } from './program.ts'
import { type Ranges, takeOut } from './ranges.ts'
import { advance, comparand, type Registers, registersKey, returned } from './registers.ts'
import { effectOf } from './returns.ts'

/** One comparison of an argument, or an end. */
interface Point {
  readonly at: number
  /** -1 while it is not known. */
  node: number
  readonly registers?: Registers
  yes?: Point
  no?: Point
}

/** Not all calls take the same way: those whose word has one of the values go another one. */
export interface Split {
  readonly word: number
  readonly values: Ranges
}

export class ArgumentPart {
  readonly #diagram: Diagram
  readonly #program: Program
  readonly #points = new Map<string, Point>()
  /** Whether the way of #points depends on which calls were asked about. */
  #particular = false

  constructor(diagram: Diagram, program: Program) {
    this.#diagram = diagram
    this.#program = program
  }

  /** The actions of `calls` from the comparison at `at` on. Throws Undecidable. */
  node(at: number, registers: Registers, calls: Calls): number | Split {
    if (this.#particular) this.#points.clear()
    this.#particular = false
    const found: Point[] = []
    const root = this.#reach(at, registers, calls, found)
    if ('word' in root) return root
    for (let index = 0; index < found.length; index++) {
      const point = found[index] as Point
      for (const way of ['yes', 'no'] as const) {
        const distance = (way === 'yes' ? this.#program.jumpTrue : this.#program.jumpFalse)[point.at] as number
        const next = this.#reach(point.at + 1 + distance, point.registers as Registers, calls, found)
        if ('word' in next) {
          // The points that were found have no node yet.
          this.#points.clear()
          return next
        }
        point[way] = next
      }
    }
    found.sort((a, b) => b.at - a.at)
    for (const point of found) this.#evaluate(point)
    return root.node
  }

  #evaluate(point: Point): void {
    const registers = point.registers as Registers
    const opcode = this.#program.code[point.at] as number
    const compared = comparand(registers, opcode, this.#program.k[point.at] as number, point.at)
    const test = condition(this.#diagram, opcode & ~X, registers.a, compared)
    point.node = this.#diagram.select(test, (point.yes as Point).node, (point.no as Point).node)
  }

  /** Where the way from an instruction first ends, or compares an argument; new comparisons are added to `found`. */
  #reach(start: number, initial: Registers, calls: Calls, found: Point[]): Point | Split {
    const { code, k, jumpTrue, jumpFalse } = this.#program
    let registers = initial
    for (let at = start; ; ) {
      const opcode = code[at] as number
      const operand = k[at] as number
      if (opcode === RET_K || opcode === RET_A) {
        const value = opcode === RET_K ? operand : returned(registers, at)
        return { at, node: this.#diagram.end(effectOf(value)) }
      }
      if (opcode === JA) {
        at += 1 + operand
      } else if ((opcode & 0x07) !== JMP) {
        registers = advance(registers, opcode, operand, at)
        at += 1
      } else {
        const { a } = registers
        if (a.mask !== 0 && a.word > WORD_ARCH) return this.#point(at, registers, found)
        const holding = this.#decide(a, opcode, comparand(registers, opcode, operand, at), calls, at)
        if (typeof holding !== 'boolean') return holding
        at += 1 + ((holding ? jumpTrue[at] : jumpFalse[at]) as number)
      }
    }
  }

  #point(at: number, registers: Registers, found: Point[]): Point {
    const key = `${at};${registersKey(registers)}`
    let point = this.#points.get(key)
    if (point === undefined) {
      point = { at, registers, node: -1 }
      this.#points.set(key, point)
      found.push(point)
    }
    return point
  }

  /** Whether a comparison of a constant, or of the number or architecture, holds for all the calls. */
  #decide(a: Content, opcode: number, compared: number, calls: Calls, at: number): boolean | Split {
    const operation = opcode & ~X
    if (a.mask === 0) return holds(operation, a.flip, compared)
    this.#particular = true
    const values = valuesOf(this.#diagram, operation, a, compared, at)
    const outside = [...(calls[a.word] as Ranges)]
    const inside = takeOut(outside, values)
    if (inside.length === 0) return false
    return outside.length === 0 ? true : { word: a.word, values }
  }
}
