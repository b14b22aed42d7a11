/**
 * Walks filters through one call's rules: which arguments take which way, and whether what stands at its end is what the rules say. Every
 * test is of one word, so that what is known of a call on a way is a set of values for each word, exactly.
 *
 * Ways are many where they part and meet again: a group of rules is tested, and where none holds the next one. So each way back from an
 * end tells what of the known it needed (Lemma): whoever comes to the same place later and knows as much need not go on.
 */

import { RET_ALLOW } from './actions.ts'
import { holds, isWhole } from './content.ts'
import { uncovered } from './cover.ts'
import { Undecidable, WORD_ARCH, WORD_NUMBER, WORDS } from './diagram.ts'
import { JA, JEQ, JMP, LD_ABS, type Program, RET_A, RET_K, X } from './program.ts'
import {
  advance,
  comparand,
  type Registers,
  returned,
  START,
  sameContent,
  sameRegisters,
  withoutAccumulator,
} from './registers.ts'
import { effectOf, mostRestrictive } from './returns.ts'
import type { RuleBox } from './rule-boxes.ts'
import { EMPTY, FULL, isEmpty, isFull, isSingle, type ValueSet, ValueSets } from './value-set.ts'

/** A call, by its words (struct seccomp_data), that is treated otherwise than the rules say, and what they say. */
export interface Shown {
  readonly words: readonly number[]
  readonly expected: number
}

/** What is known of the rest of a way. */
interface Lemma {
  /** Nothing is allowed wrongly to whatever has these words in these sets. Other words do not matter. */
  readonly needs: readonly (readonly [word: number, set: ValueSet])[]
  /** The words that were tested, as bits. */
  readonly tested: number
}
const ANYTHING: Lemma = { needs: [], tested: 0 }

/** Where a way is: in which program, at which instruction, with which registers, and what programs before it have said. */
interface Place {
  readonly program: number
  readonly at: number
  readonly registers: Registers
  readonly before: number
}

/** A place that was left for good. */
interface Visit extends Place {
  readonly lemma: Lemma
  /** What was known there. */
  readonly known: readonly ValueSet[]
}

/** What is to be done on the way back: a test that was passed, or a place where ways meet. */
type Step =
  | { readonly place: Place; readonly known: readonly ValueSet[] }
  | {
      readonly place?: undefined
      readonly word: number
      readonly set: ValueSet
      /** Of the way that was taken first; undefined: nothing goes there. */
      readonly yes: Lemma | undefined
      readonly goesNo: boolean
    }

/** More tests of a call, and of rules that may still hold there, are given up. */
const MAX_WORK = 60_000_000
/** More lemmas of one place than this are not kept. */
const MAX_LEMMAS = 4
/** Of tests within each other: the engine's stack is finite. */
const MAX_DEPTH = 600

export class Walk {
  readonly #programs: readonly Program[]
  readonly sets = new ValueSets()
  /** Which instructions several ways lead to. */
  readonly #meets: readonly Uint8Array[]
  /** What each comparison holds for, as it was last asked. */
  readonly #conditions: { a: Registers['a']; compared: number; set: ValueSet }[][]

  #known: ValueSet[] = []
  #lemmas = new Map<number, Visit[]>()
  /** Rules that may hold where a lemma ended the way; undefined while single rules are walked. */
  #open: Set<RuleBox> | undefined
  #refuse = 0
  #shown: Shown | undefined
  #work = 0

  /** `programs`: in the order in which they are installed. */
  constructor(programs: readonly Program[]) {
    this.#programs = programs
    this.#meets = programs.map((program, index) => meetsOf(program, index === programs.length - 1))
    this.#conditions = programs.map(() => [])
  }

  /**
   * A call with one of the numbers and architectures (from, to) that the programs treat otherwise than: allow what is in one of the
   * boxes, else `refuse`. Throws Undecidable.
   */
  find(
    numbers: readonly [number, number],
    architectures: readonly [number, number],
    rules: readonly RuleBox[],
    refuse: number,
  ): Shown | undefined {
    const start = Array<ValueSet>(WORDS).fill(FULL)
    start[WORD_NUMBER] = numbers
    start[WORD_ARCH] = architectures
    this.#refuse = refuse
    this.#shown = undefined
    this.#work = 0
    // First all calls: nothing is allowed that no rule allows. Where no way is cut short, nothing is refused that one allows, too.
    const open = new Set<RuleBox>()
    this.#open = open
    this.#go(start, rules)
    // Then the rules that were lost from sight, one by one.
    this.#open = undefined
    for (const box of open) {
      if (this.#shown !== undefined) break
      this.#go(start.map((set, word) => box.sets[word] ?? set))
    }
    return this.#shown
  }

  #go(known: ValueSet[], rules: readonly RuleBox[] = []): void {
    this.#known = known
    this.#lemmas = new Map()
    this.#walk({ program: this.#programs.length - 1, at: 0, registers: START, before: RET_ALLOW }, rules, 0)
  }

  /** `rules`: those that may hold for what is known. Leaves what is known as it was. */
  #walk(start: Place, rules: readonly RuleBox[], depth: number): Lemma {
    if (depth > MAX_DEPTH) throw new Undecidable(`more than ${MAX_DEPTH} tests stand within each other`)
    const steps: Step[] = []
    const before: ValueSet[] = []
    const words: number[] = []
    let { program, at, registers, before: answer } = start
    let left = rules
    let lemma: Lemma
    for (;;) {
      const { code, k, jumpTrue, jumpFalse } = this.#programs[program] as Program
      const opcode = code[at] as number
      const operand = k[at] as number
      // As long as the way has not parted nobody else comes here, and nobody asks what was needed.
      const alone = depth === 0 && words.length === 0
      if (!alone && (this.#meets[program] as Uint8Array)[at] === 1) {
        // What is loaded over does not tell ways apart.
        if (opcode === LD_ABS) registers = withoutAccumulator(registers)
        const place = { program, at, registers, before: answer }
        const visit = this.#lookUp(place)
        if (visit !== undefined) {
          for (const box of left) if (!this.#isJudged(box, visit)) this.#open?.add(box)
          lemma = visit.lemma
          break
        }
        steps.push({ place, known: [...this.#known] })
      }
      if (opcode === RET_K || opcode === RET_A) {
        answer = mostRestrictive(answer, effectOf(opcode === RET_K ? operand : returned(registers, at)))
        if (program === 0) {
          lemma = this.#judge(answer, left)
          break
        }
        program--
        at = 0
        registers = START
      } else if (opcode === JA) at += 1 + operand
      else if ((opcode & 0x07) !== JMP) {
        registers = advance(registers, opcode, operand, at)
        at++
      } else {
        const { a } = registers
        const compared = comparand(registers, opcode, operand, at)
        const yes = at + 1 + (jumpTrue[at] as number)
        const no = at + 1 + (jumpFalse[at] as number)
        if (a.mask === 0) {
          at = holds(opcode & ~X, a.flip, compared) ? yes : no
          continue
        }
        const { word } = a
        const all = this.#known[word] as ValueSet
        if (alone && isSingle(all) && isWhole(a)) {
          // On the way to a call, by its architecture and number; programs of libseccomp try one number after the other.
          const value = all[0] as number
          this.#spend(4)
          at = holds(opcode & ~X, value, compared) ? yes : no
          while (code[at] === JEQ) at += 1 + ((k[at] === value ? jumpTrue[at] : jumpFalse[at]) as number)
          continue
        }
        const set = this.#condition(program, at, opcode & ~X, a, compared)
        const inside = this.sets.both(all, set)
        const goesYes = !isEmpty(inside)
        const outside = goesYes ? this.sets.without(all, set) : all
        const goesNo = !isEmpty(outside)
        this.#spend(4 + left.length)
        let after: Lemma | undefined
        if (goesYes && goesNo) {
          before.push(all)
          words.push(word)
          this.#known[word] = inside
          after = this.#walk(
            { program, at: yes, registers, before: answer },
            this.#among(left, word, inside),
            depth + 1,
          )
          this.#known[word] = outside
          left = this.#among(left, word, outside)
          if (this.#shown !== undefined) {
            lemma = ANYTHING
            break
          }
        }
        steps.push({ word, set, yes: after, goesNo })
        at = goesNo ? no : yes
      }
    }
    for (let index = words.length - 1; index >= 0; index--)
      this.#known[words[index] as number] = before[index] as ValueSet
    return this.#shown === undefined ? this.#back(steps, lemma, depth) : ANYTHING
  }

  /** What was needed at the beginning of a way of which the end needed `lemma`. */
  #back(steps: readonly Step[], end: Lemma, depth: number): Lemma {
    let lemma = end
    // What nobody asks for is not worked out: before the first place where ways meet on the first way.
    const first = depth === 0 ? steps.findIndex(({ place }) => place !== undefined) : 0
    if (first === -1) return ANYTHING
    for (let index = steps.length - 1; index >= first; index--) {
      const step = steps[index] as Step
      if (step.place !== undefined) this.#keep({ ...step.place, lemma, known: step.known })
      else if (!step.goesNo) lemma = this.#join(step.word, step.set, lemma, undefined)
      else lemma = this.#join(step.word, step.set, step.yes, lemma)
    }
    return lemma
  }

  /** What is needed before a test, of what is needed behind it on either side; undefined: nothing came there. */
  #join(word: number, set: ValueSet, yes: Lemma | undefined, no: Lemma | undefined): Lemma {
    const tested = (yes?.tested ?? 0) | (no?.tested ?? 0) | (1 << word)
    if (yes?.needs.length === 0 && no?.needs.length === 0) return { needs: ANYTHING.needs, tested }
    const needs: [number, ValueSet][] = []
    for (const lemma of [yes, no]) {
      for (const [other, values] of lemma?.needs ?? []) {
        if (other === word) continue
        const known = needs.find(([present]) => present === other)
        if (known === undefined) needs.push([other, values])
        else known[1] = this.sets.both(known[1], values)
      }
    }
    const behindYes = yes === undefined ? EMPTY : this.sets.both(setOf(yes, word), set)
    const behindNo = no === undefined ? EMPTY : this.sets.without(setOf(no, word), set)
    const values = this.sets.either(behindYes, behindNo)
    if (!isFull(values)) needs.push([word, values])
    return { needs, tested }
  }

  /** Whether the answer is right for all that is known: what of it was needed. */
  #judge(answer: number, rules: readonly RuleBox[]): Lemma {
    if (this.#open === undefined) {
      if (answer !== RET_ALLOW) this.#show(this.#known, RET_ALLOW)
      return ANYTHING
    }
    const [first] = rules
    if (answer !== RET_ALLOW) {
      if (first !== undefined)
        this.#show(
          this.#known.map((set, word) => this.sets.both(set, first.sets[word] ?? FULL)),
          RET_ALLOW,
        )
      else if (answer !== this.#refuse) this.#show(this.#known, this.#refuse)
      return ANYTHING
    }
    const covering = this.#covering(rules)
    if (covering !== undefined)
      return { needs: covering.words.map((word) => [word, covering.sets[word] as ValueSet]), tested: 0 }
    const rest = uncovered(this.sets, this.#known, rules, (work) => this.#spend(work))
    if (rest !== undefined) {
      this.#show(rest, this.#refuse)
      return ANYTHING
    }
    const words = [...new Set(rules.flatMap((box) => box.words))]
    return { needs: words.map((word) => [word, this.#known[word] as ValueSet]), tested: 0 }
  }

  /** Of the rules that hold for all that is known the one that asks least. */
  #covering(rules: readonly RuleBox[]): RuleBox | undefined {
    let best: RuleBox | undefined
    for (const box of rules) {
      if (best !== undefined && best.words.length <= box.words.length) continue
      if (box.words.every((word) => this.sets.within(this.#known[word] as ValueSet, box.sets[word] as ValueSet)))
        best = box
    }
    return best
  }

  #show(sets: readonly ValueSet[], expected: number): void {
    this.#shown = { words: sets.map((set) => this.sets.first(set)), expected }
  }

  #spend(work: number): void {
    this.#work += work
    if (this.#work > MAX_WORK) throw new Undecidable(`more than ${MAX_WORK} steps are needed to follow all ways`)
  }

  #among(rules: readonly RuleBox[], word: number, set: ValueSet): readonly RuleBox[] {
    if (rules.length === 0) return rules
    return rules.filter(({ sets }) => {
      const wanted = sets[word]
      return wanted === undefined || this.sets.meet(wanted, set)
    })
  }

  #condition(program: number, at: number, operation: number, a: Registers['a'], compared: number): ValueSet {
    const conditions = this.#conditions[program] as { a: Registers['a']; compared: number; set: ValueSet }[]
    const last = conditions[at]
    if (last !== undefined && last.compared === compared && sameContent(last.a, a)) return last.set
    const set = this.sets.comparing(operation, a, compared)
    conditions[at] = { a, compared, set }
    return set
  }

  #lookUp({ program, at, registers, before }: Place): Visit | undefined {
    return this.#lemmas
      .get(program * 0x10000 + at)
      ?.find(
        (visit) =>
          visit.before === before &&
          visit.lemma.needs.every(([word, set]) => this.sets.within(this.#known[word] as ValueSet, set)) &&
          sameRegisters(visit.registers, registers),
      )
  }

  /**
   * Whether each call of a rule that is here now has one of the same rule beside it, which differs only in words that were not tested,
   * that a visit has followed: then it goes the same way, to an end that was judged with this rule in sight.
   */
  #isJudged({ sets }: RuleBox, { known, lemma }: Visit): boolean {
    for (let word = 0; word < WORDS; word++) {
      const wanted = sets[word] ?? FULL
      const there = known[word] as ValueSet
      if (((lemma.tested >>> word) & 1) === 0) {
        if (!this.sets.meet(wanted, there)) return false
      } else if (!this.sets.within(this.sets.both(this.#known[word] as ValueSet, wanted), there)) return false
    }
    return true
  }

  #keep(visit: Visit): void {
    const key = visit.program * 0x10000 + visit.at
    const visits = this.#lemmas.get(key)
    if (visits === undefined) this.#lemmas.set(key, [visit])
    else {
      if (visits.length === MAX_LEMMAS) visits.shift()
      visits.push(visit)
    }
  }
}

function setOf({ needs }: Lemma, word: number): ValueSet {
  for (const [present, set] of needs) if (present === word) return set
  return FULL
}

/**
 * 1 for each instruction that more than one other leads to, and for the first one, where `newest` is not set: programs before it lead there
 * from each end.
 */
function meetsOf({ length, code, k, jumpTrue, jumpFalse }: Program, newest: boolean): Uint8Array {
  const ways = new Uint16Array(length)
  const lead = (at: number) => {
    ways[at] = (ways[at] as number) + 1
  }
  ways[0] = newest ? 1 : 2
  for (let at = 0; at < length; at++) {
    const opcode = code[at] as number
    if (opcode === RET_K || opcode === RET_A) continue
    if (opcode === JA) lead(at + 1 + (k[at] as number))
    else if ((opcode & 0x07) === JMP) {
      lead(at + 1 + (jumpTrue[at] as number))
      lead(at + 1 + (jumpFalse[at] as number))
    } else lead(at + 1)
  }
  const meets = new Uint8Array(length)
  for (let at = 0; at < length; at++) {
    if ((ways[at] as number) > 1 && code[at] !== RET_K && code[at] !== RET_A) meets[at] = 1
  }
  return meets
}
