/**
 * SystemCallFilter= and SystemCallArchitectures= of systemd units -> calls (systemd.exec(5)). Groups (@clock) are systemd's own and
 * change with it: they are expanded by what `systemd-analyze syscall-filter` prints.
 */
import type { ArchitectureName } from '../document.ts'
import { addRest, type Collector } from './collector.ts'
import { lines } from './lines.ts'
import type { Refuse } from './profile-entries.ts'

const ARCHITECTURES: Readonly<Record<string, ArchitectureName>> = {
  'x86-64': 'x86_64',
  x86: 'x86',
  x32: 'x32',
  arm64: 'aarch64',
  arm: 'arm',
}

export interface SystemdOptions {
  readonly architecture: ArchitectureName
  /** Group -> its members, which may be groups; asked for only where the file names one. */
  readonly groups: () => ReadonlyMap<string, readonly string[]>
}

interface Filter {
  /** Whether the first line was an allow-list; undefined before it. */
  allow: boolean | undefined
  /** What the list names, with the place. */
  readonly names: Map<string, string>
}

export function readSystemd(
  text: string,
  into: Collector,
  { architecture, groups }: SystemdOptions,
  refuse: Refuse,
): void {
  const filter: Filter = { allow: undefined, names: new Map() }
  const architectures = new Set<ArchitectureName>()
  for (const { key, value, number } of settings(text)) {
    if (key === 'SystemCallFilter') addLine(filter, value, `line ${number}`, into, groups, refuse)
    else if (key === 'SystemCallArchitectures') {
      for (const word of value.split(/\s+/).filter(Boolean)) {
        if (word === 'native') architectures.add(architecture)
        else if (Object.hasOwn(ARCHITECTURES, word)) architectures.add(ARCHITECTURES[word] as ArchitectureName)
        else into.note('architectures that policies do not have', word.slice(0, 64))
      }
    } else if (key === 'SystemCallErrorNumber' && value !== '' && value !== 'EPERM')
      into.note(`what a violation gets is the policy's action, not ${value.slice(0, 64)}`)
    else if (key === 'SystemCallLog') into.note('SystemCallLog=, which only logs')
  }
  if (filter.allow === undefined) refuse('expected a line SystemCallFilter=...')
  if (filter.allow) into.note('systemd itself also allows its group @default; import has what the file names')
  for (const target of architectures.size === 0 ? [architecture] : architectures) {
    into.architecture(target)
    if (filter.allow) for (const [name, at] of filter.names) into.add(target, name, at)
    else {
      for (const [name, at] of filter.names) if (!into.names.exists(name)) into.add(target, name, at)
      for (const name of into.names.all(target)) {
        if (filter.names.has(name)) continue
        addRest(into, target, name, 'the list', (call) => filter.names.has(call))
      }
    }
  }
  if (!filter.allow) into.note('the filter allows by default: calls that have no name yet are refused here')
}

/** The settings of a unit. */
function* settings(text: string): Generator<{ key: string; value: string; number: number }> {
  for (const { line, number } of joinedLines(text)) {
    const equals = line.indexOf('=')
    if (equals > 0) yield { key: line.slice(0, equals).trim(), value: line.slice(equals + 1).trim(), number }
  }
}

/** A line that ends in a backslash goes on in the next one that is no comment, if there is one. */
function* joinedLines(text: string): Generator<{ line: string; number: number }> {
  let begun = ''
  let last = 0
  for (const { line, number } of lines(text)) {
    last = number
    if (/^\s*[#;]/.test(line)) continue
    if (line.endsWith('\\')) begun += `${line.slice(0, -1)} `
    else {
      yield { line: begun + line, number }
      begun = ''
    }
  }
  if (begun !== '') yield { line: begun, number: last }
}

/** The first line decides whether the list allows or refuses; lines of the other kind take names out again. */
function addLine(
  filter: Filter,
  value: string,
  at: string,
  into: Collector,
  groups: SystemdOptions['groups'],
  refuse: Refuse,
): void {
  if (value === '') {
    filter.allow = undefined
    filter.names.clear()
    return
  }
  const inverted = value.startsWith('~')
  filter.allow ??= !inverted
  const adds = filter.allow !== inverted
  for (const word of value
    .slice(inverted ? 1 : 0)
    .split(/\s+/)
    .filter(Boolean)) {
    const [name, errno] = word.split(':') as [string, string | undefined]
    if (errno !== undefined) into.note(`calls that get ${errno.slice(0, 32)} there, and the policy's action here`, name)
    for (const call of expand(name, groups, at, refuse)) {
      // With an error number of its own a call is refused, also in an allow-list.
      if (adds && !(filter.allow && errno !== undefined && errno !== 'allow')) filter.names.set(call, at)
      else filter.names.delete(call)
    }
  }
}

function expand(word: string, groups: SystemdOptions['groups'], at: string, refuse: Refuse): string[] {
  if (!word.startsWith('@')) return [word]
  const members = groups()
  const calls = new Set<string>()
  const seen = new Set<string>()
  const visit = (group: string): void => {
    if (seen.has(group)) return
    seen.add(group)
    const found = members.get(group)
    if (found === undefined)
      refuse(
        `${at}: the group ${group.slice(0, 64)} is not known; give systemd's groups with --groups FILE (systemd-analyze syscall-filter >FILE)`,
      )
    for (const member of found) {
      if (member.startsWith('@')) visit(member)
      else calls.add(member)
    }
  }
  visit(word)
  return [...calls]
}

/** What `systemd-analyze syscall-filter` prints: a group at the start of a line, its members indented below, comments with #. */
export function readGroups(text: string): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  let members: string[] | undefined
  // systemd-analyze marks headings with colours where it writes to a terminal.
  for (const { line } of lines(text.replace(/\u001b\[[0-9;]*m/g, ''))) {
    const word = line.trim()
    if (word === '' || word.startsWith('#')) continue
    if (/^@[a-z0-9-]+$/.test(line)) {
      members = []
      groups.set(line, members)
    } else if (/^\s+@?[a-zA-Z0-9_-]+$/.test(line)) members?.push(word)
    else members = undefined
  }
  return groups
}
