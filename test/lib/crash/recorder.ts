/** What programs write below a directory, in the order of time, as strace sees it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../events.ts'
import { processesWith } from '../processes.ts'

/** Of all that changes a file system, what our programs use: the store knows no others (a call that is traced and not known here throws). */
export type Operation =
  | { readonly kind: 'mkdir' | 'create' | 'remove' | 'sync'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'write'; readonly path: string; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }

const CALLS = [
  ...['open', 'openat', 'openat2', 'creat', 'mkdir', 'mkdirat', 'mknod', 'mknodat'],
  ...['write', 'pwrite64', 'writev', 'pwritev', 'copy_file_range', 'sendfile', 'splice', 'truncate', 'ftruncate'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat', 'unlink', 'unlinkat', 'rmdir'],
  ...['fsync', 'fdatasync', 'sync', 'syncfs', 'msync'],
]

/** The command line that runs a program as before, and writes what it and its children call to a file that ends in `.strace`. */
export function straced(file: string, command: readonly string[]): string[] {
  // -DDD: the program is our own child, and strace goes on in the background as long as one of the children is there.
  return ['strace', '-DDD', '-f', '-ttt', '-y', '-x', '-s', '4000000', '-e', `trace=${CALLS}`, '-o', file, ...command]
}

/** Waits until all that was begun with straced() in a directory has ended. */
export async function recorded(directory: string): Promise<void> {
  await until('strace has ended', () =>
    processesWith(directory).every(({ command }) => !command.startsWith('strace\0')),
  )
}

export interface Timed {
  /** Seconds since 1970. */
  readonly time: number
  readonly operation: Operation
}

/** What the files of straced() in `directory` tell of the paths below `root`, each only once it had succeeded. */
export function operationsBelow(root: string, directory: string): Timed[] {
  const calls = readdirSync(directory)
    .filter((name) => name.endsWith('.strace'))
    .flatMap((name) => finishedCalls(readFileSync(join(directory, name), 'latin1')))
    .sort((a, b) => a.time - b.time)
  const there = new Set<string>()
  return calls.flatMap(({ time, text }) => {
    const operation = decode(text, there, root)
    return operation === undefined ? [] : [{ time, operation }]
  })
}

interface Call {
  readonly time: number
  /** `name(arguments) = result` */
  readonly text: string
}

/** Calls that others interrupted stand in two lines; their time is that of the second. */
function finishedCalls(strace: string): Call[] {
  const begun = new Map<string, string>()
  return strace.split('\n').flatMap((line) => {
    const [, pid = '', time = '', rest = ''] = /^(\d+) +([\d.]+) (.*)$/.exec(line) ?? []
    if (rest.endsWith(' <unfinished ...>')) {
      begun.set(pid, rest.slice(0, -' <unfinished ...>'.length))
      return []
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest)
    const text = resumed === null ? rest : `${begun.get(pid) ?? ''}${rest.slice(resumed[0].length)}`
    return /^\w+\(/.test(text) ? [{ time: Number(time), text }] : []
  })
}

const UMASK = 0o022

/** A string in C's notation, or a descriptor with its path, or a word. */
const ARGUMENT = /"((?:[^"\\]|\\.)*)"|(?:\d+|AT_FDCWD)<((?:[^>\\]|\\.)*)>(\(deleted\))?|[^,\s][^,]*/g

function decode(text: string, there: Set<string>, root: string): Operation | undefined {
  const [, name = '', list = '', result = ''] = /^(\w+)\((.*)\) += (-?\d+)/s.exec(text) ?? []
  if (result === '' || result.startsWith('-') || !list.includes(root)) return undefined
  const args = [...list.matchAll(ARGUMENT)].map(([whole, quoted, path]) => ({
    whole,
    text: unquote(quoted ?? path ?? ''),
  }))
  const [first, second] = args.filter(({ whole }) => !whole.startsWith('AT_FDCWD')).map((one) => one.text.toString())
  // symlink(target, path)
  const path = String(name === 'symlink' ? second : first)
  // An unlinked file: nothing that comes back.
  if (args[0]?.whole.includes('(deleted)') || !`${path}/`.startsWith(`${root}/`)) return undefined
  const mode = Number.parseInt(/, (0\d{3,})$/.exec(list)?.[1] ?? '0', 8)
  switch (name) {
    case 'open':
    case 'openat':
      if (there.has(path)) return list.includes('O_TRUNC') ? { kind: 'truncate', path, size: 0 } : undefined
      if (!list.includes('O_CREAT')) return undefined
      there.add(path)
      return { kind: 'create', path, mode: mode & ~UMASK }
    case 'mkdir':
      return { kind: 'mkdir', path, mode: mode & ~UMASK }
    case 'symlink':
      there.add(path)
      return { kind: 'symlink', path, target: String(first) }
    case 'write':
      return { kind: 'write', path, data: (args[1]?.text ?? Buffer.alloc(0)).subarray(0, Number(result)) }
    case 'ftruncate':
      return { kind: 'truncate', path, size: Number(args[1]?.whole) }
    case 'rename':
      there.delete(path)
      there.add(String(second))
      return { kind: 'rename', path, to: String(second) }
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      there.delete(path)
      return { kind: 'remove', path }
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', path }
    default:
      throw new Error(`the simulation does not know ${text.slice(0, 200)}`)
  }
}

/** C's notation -> bytes. */
function unquote(text: string): Buffer {
  const NAMED: Record<string, number> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 }
  const bytes: number[] = []
  for (const [part, escaped] of text.matchAll(/\\(x[0-9a-f]{2}|[0-7]{1,3}|.)|[^\\]/gs)) {
    if (escaped === undefined) bytes.push(part.charCodeAt(0))
    else if (/^x/.test(escaped)) bytes.push(Number.parseInt(escaped.slice(1), 16))
    else bytes.push(NAMED[escaped] ?? Number.parseInt(escaped, 8))
  }
  return Buffer.from(bytes)
}
