/** Our lines in a TOML file of somebody else's: between two marks, and nothing else in the file is touched. */
import { isDeepStrictEqual } from 'node:util'
import { oneLine } from '../errors.ts'
import { refused } from '../host/tree.ts'
import { isTable, parseToml, type TomlTable } from './toml.ts'

const BEGIN = '# BEGIN oci-sandbox: made by oci-sandbox install; what is changed here is lost'
const END = '# END oci-sandbox'
const MARKED = /^# BEGIN oci-sandbox\b[^\n]*\n(?:[^\n]*\n)*?# END oci-sandbox[^\n]*(?:\n|$)/gm
const MARK = /^# (?:BEGIN|END) oci-sandbox\b/gm

/** Parses a file. Throws SETUP_REFUSED. */
export function readToml(path: string, text: string): TomlTable {
  try {
    return parseToml(text)
  } catch (error) {
    throw refused(`cannot read ${path}: ${oneLine(error)}`, { cause: error })
  }
}

function findBlock(path: string, text: string): { start: number; end: number } | undefined {
  const blocks = [...text.matchAll(MARKED)]
  const marks = [...text.matchAll(MARK)]
  if (marks.length !== 2 * blocks.length || blocks.length > 1) {
    throw refused(
      `${path}: the lines "# BEGIN oci-sandbox" and "# END oci-sandbox" do not stand there once each, in this order; mend or remove them`,
    )
  }
  const block = blocks[0]
  return block === undefined ? undefined : { start: block.index, end: block.index + block[0].length }
}

/** The text without our block, and without the empty line that stands before it. */
export function withoutBlock(path: string, text: string): string {
  const block = findBlock(path, text)
  if (block === undefined) return text
  const before = text.slice(0, block.start)
  return (before.endsWith('\n\n') || before === '\n' ? before.slice(0, -1) : before) + text.slice(block.end)
}

/** The text with a block of ours: in the place of the one that is there, or at the end. `body` is whole lines. */
export function withBlock(path: string, text: string, body: string): string {
  const lines = `${BEGIN}\n${body}${END}\n`
  const block = findBlock(path, text)
  if (block !== undefined) return text.slice(0, block.start) + lines + text.slice(block.end)
  if (text === '') return lines
  return `${text.endsWith('\n') ? text : `${text}\n`}\n${lines}`
}

/**
 * Throws SETUP_REFUSED where a changed text means something else than before in anything but the values at the paths in `owned`: since a
 * table there is an inline one, to which nothing can be added, or since somebody has written on within our block.
 */
export function verifyEdit(path: string, before: string, after: string, owned: readonly (readonly string[])[]): void {
  const others = (name: string, text: string) => owned.reduce(prune, readToml(name, text))
  if (isDeepStrictEqual(others(path, before), others(`${path}, as it would become`, after))) return
  throw refused(`${path}: the change would alter more than what is ours; look at what stands around "${END}"`)
}

/** A copy without the value at a path, and without tables that are empty. */
function prune(table: TomlTable, path: readonly string[]): TomlTable {
  const [key, ...deeper] = path
  const copies = Object.entries(table).map(([name, value]) => {
    if (name === key && deeper.length === 0) return undefined
    const copy = isTable(value) ? prune(value, name === key ? deeper : []) : value
    return isTable(copy) && Object.keys(copy).length === 0 ? undefined : ([name, copy] as const)
  })
  return Object.fromEntries(copies.filter((copy) => copy !== undefined))
}
