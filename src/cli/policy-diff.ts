import { asSandboxError, oneLine, SandboxError } from '../errors.ts'
import { boxJson, boxText } from '../filter/box-text.ts'
import { bitsOf, type Change, type ChangeKind, compareRegions } from '../filter/compare.ts'
import { Diagram } from '../filter/diagram.ts'
import { meaningOf } from '../filter/meaning.ts'
import { decodePrograms, type Regions, regionsOf } from '../filter/regions.ts'
import { returnName } from '../filter/returns.ts'
import { print, printError } from '../host/output.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command, Invocation } from './command.ts'
import { ACTION_OPTION, actionOf } from './options.ts'
import { type FilterSubject, loadSubject, type PolicySubject, SUBJECT_HELP } from './subject.ts'
import { fill } from './text.ts'

/** As diff(1): 2 says that the question could not be answered. */
const EXIT_TROUBLE = 2

export const policyDiff: Command = {
  name: 'policy diff',
  operands: 'A B',
  summary: 'Show which calls B allows and A does not, and the other way round.',
  details:
    `Each is ${SUBJECT_HELP}.\n\n` +
    'What they mean is compared, not how they are written: every architecture, number and argument. Exit code 0: nothing differs;\n' +
    '1: something differs; 2: it could not be found out.',
  options: { action: ACTION_OPTION, json: { type: 'boolean', help: 'as JSON' } },
  arity: [2, 2],
  async run(invocation) {
    try {
      return await diff(invocation)
    } catch (cause) {
      const error = asSandboxError(cause)
      printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
      return EXIT_TROUBLE
    }
  },
}

async function diff({ operands, store, text, flag }: Invocation): Promise<number> {
  const action = actionOf(text('action'))
  const [a, b] = [await loadSubject(store, operands[0] as string), await loadSubject(store, operands[1] as string)]
  const diagram = new Diagram()
  const changes = compareRegions(diagram, meaning(diagram, a, action), meaning(diagram, b, action))
  if (flag('json')) print(`${JSON.stringify({ a: a.name, b: b.name, changes: changes.map(changeJson) }, null, 2)}\n`)
  else print(changes.length === 0 ? `${a.name} and ${b.name} mean the same\n` : describe(changes))
  return changes.length === 0 ? 0 : 1
}

function meaning(diagram: Diagram, subject: PolicySubject | FilterSubject, action: ViolationAction): Regions {
  if (subject.kind === 'policy') return meaningOf(diagram, subject.architectures, action)
  try {
    return regionsOf(diagram, decodePrograms(subject.programs))
  } catch (error) {
    throw new SandboxError('FILTER_UNPROVED', `${subject.name} cannot be compared: ${oneLine(error)}`, { cause: error })
  }
}

function changeJson(change: Change) {
  const { architecture, archFrom, archTo, from, to, kind, before, after, when } = change
  return {
    ...(architecture === undefined ? { audit: [archFrom, archTo] } : { architecture }),
    numbers: [from, to],
    names: namesOf(change).names,
    change: kind,
    before: returnName(before),
    after: returnName(after),
    // An empty list in the list: any arguments.
    arguments: when.boxes.map(boxJson),
    ...(when.more ? { moreArguments: true } : {}),
  }
}

const HEADINGS: Record<ChangeKind, string> = {
  allowed: 'allowed now',
  refused: 'no longer allowed',
  changed: 'refused in another way',
}

function describe(changes: readonly Change[]): string {
  const text: string[] = []
  for (const kind of ['allowed', 'refused', 'changed'] as const) {
    for (const place of new Set(changes.map(placeOf))) {
      const here = changes.filter((change) => change.kind === kind && placeOf(change) === place)
      if (here.length > 0) text.push(`${place}: ${HEADINGS[kind]}\n`, ...lines(here))
    }
  }
  return text.join('')
}

/** Calls that changed alike stand together. */
function lines(changes: readonly Change[]): string[] {
  const groups = new Map<string, { words: string[]; boxes: string[] }>()
  for (const change of changes) {
    const all = change.when.boxes.length === 1 && change.when.boxes[0]?.length === 0
    const boxes = all ? [] : change.when.boxes.map((box) => boxText(box, bitsOf(change)))
    if (change.when.more) boxes.push('and more')
    const key = `${returnName(change.before)} -> ${returnName(change.after)}`
    const id = JSON.stringify([key, boxes])
    const group = groups.get(id) ?? { words: [], boxes: [key, ...boxes] }
    group.words.push(...wordsOf(change))
    groups.set(id, group)
  }
  return [...groups.values()].flatMap(({ words, boxes: [key, ...boxes] }) => [
    fill(punctuated(words), '  '),
    `      ${key}${boxes.length === 0 ? '' : ' where'}\n`,
    ...boxes.map((box) => `        ${box}\n`),
  ])
}

/** Commas behind all but the last, where one of them is more than a word. */
function punctuated(words: readonly string[]): readonly string[] {
  if (words.every((word) => !word.includes(' '))) return words
  return words.map((word, index) => (index === words.length - 1 ? word : `${word},`))
}

function placeOf({ architecture, archFrom, archTo }: Change): string {
  const hex = (value: number) => `0x${value.toString(16)}`
  return (
    architecture ??
    (archFrom === archTo ? `architecture ${hex(archFrom)}` : `architectures ${hex(archFrom)} to ${hex(archTo)}`)
  )
}

/** The calls of a change that have names, and whether that is all of them. */
function namesOf({ architecture, from, to }: Change): { names: string[]; all: boolean } {
  if (architecture === undefined) return { names: [], all: false }
  const names = [...SYSCALL_NAMES.all(architecture)].filter((name) => {
    const number = SYSCALL_NAMES.numberOf(architecture, name) as number
    return number >= from && number <= to
  })
  return { names, all: names.length === to - from + 1 }
}

/** More calls than this in a row that are only refused in another way are not named. */
const MAX_NAMES = 8

function wordsOf(change: Change): string[] {
  const { from, to, kind } = change
  if (kind === 'changed' && to - from >= MAX_NAMES) return [`numbers ${from} to ${to}`]
  const { names, all } = namesOf(change)
  if (all) return names
  return [
    ...names,
    from === to ? `number ${from}` : `${names.length > 0 ? 'and all others of ' : ''}numbers ${from} to ${to}`,
  ]
}
