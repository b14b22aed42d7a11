/** The files, endpoints and programs that runs with io.sandbox.detail=paths have seen: for people. */
import type { LearnedEndpoint, LearnedFile, PolicyDocument } from '../generated/policy.ts'
import { count, table } from './text.ts'

/** No filter holds a program to them: nothing that is printed may look as if one did. */
const FOR_PEOPLE = 'for people, as a seccomp filter cannot look at paths and addresses'

/** One line for `policy show`; none where no run has recorded them. */
export function summarisePaths({ paths, runs }: PolicyDocument): string {
  if (paths === undefined) return ''
  const { files, endpoints, programs } = paths
  const own = runs.filter((run) => run.paths !== undefined)
  const partial = own.filter((run) => run.paths?.complete !== true).length
  return (
    `\nseen, but not enforced: ${count(files.length, 'file')}, ${count(endpoints.length, 'endpoint')}, ${count(programs.length, 'program')}` +
    ` in ${count(own.length, 'run')}${partial > 0 ? ` (${partial} of them partial)` : ''}; --paths lists them (${FOR_PEOPLE})\n`
  )
}

export function describePaths(policy: PolicyDocument): string {
  const { paths, runs } = policy
  if (paths === undefined)
    return '\nno paths were recorded; start the container with io.sandbox.detail=paths to record them\n'
  const started = new Map(runs.map((run) => [run.id, `${run.started.slice(0, 19)}Z`]))
  const first = ({ since }: { readonly since?: string }) => started.get(since ?? '') ?? '-'
  const list = (...names: (readonly string[] | undefined)[]) => names.map((some) => some?.join(',') ?? '-')
  const files = paths.files.map((file) => [pathOf(file), ...list(file.ok, file.failed), first(file)])
  const endpoints = paths.endpoints.map((endpoint) => [
    `${endpoint.kind} ${addressOf(endpoint)}`,
    ...list(endpoint.outcomes),
    first(endpoint),
  ])
  const programs = paths.programs.map((program) => [pathOf(program), first(program)])
  return [
    `\nseen, but not enforced (${FOR_PEOPLE})\n`,
    section(['FILE', 'DONE', 'FAILED', 'FIRST SEEN'], files),
    section(['ENDPOINT', 'OUTCOMES', 'FIRST SEEN'], endpoints),
    section(['PROGRAM', 'FIRST SEEN'], programs),
    ...runs.flatMap(({ started: begun, paths: missing }) =>
      missing === undefined || missing.complete ? [] : [`the run of ${begun} is partial: ${reasonOf(missing)}\n`],
    ),
  ].join('')
}

function section(header: string[], rows: string[][]): string {
  return rows.length === 0 ? '' : `\n${table([header, ...rows])}`
}

function reasonOf({ left, unreadable, long }: { left: number; unreadable: number; long: number }): string {
  if (left + unreadable + long === 0) return 'its end was not seen, something of it was lost, or it used io_uring'
  return `${left} facts were left out, ${unreadable} could not be read, ${long} had too long a path`
}

/** `/tmp/*`: any name directly in /tmp; `/tmp/**`: everything below it. */
function pathOf({ path, covers }: Pick<LearnedFile, 'path' | 'covers'>): string {
  if (covers === undefined) return printable(path)
  return `${printable(path === '/' ? '' : path)}/${covers === 'all' ? '**' : '*'}`
}

function addressOf({ family, path, name, address, port, covers }: LearnedEndpoint): string {
  if (path !== undefined) return `unix:${pathOf({ path, ...(covers === undefined ? {} : { covers }) })}`
  if (family === 'abstract') return `unix:@${covers === undefined ? printable(name ?? '') : '*'}`
  if (address === undefined) return covers === undefined || family === 'other' ? `family ${family}` : `${family} *`
  return `${family === 'inet6' ? `[${address}]` : address}:${port ?? '*'}`
}

/** Names are the program's choice: nothing of them may steer a terminal, or look like a pattern of ours. */
function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\\*]/g, (character) => {
    const code = character.charCodeAt(0)
    return character === '\\' || character === '*' ? `\\${character}` : `\\x${code.toString(16).padStart(2, '0')}`
  })
}
