/**
 * The output of strace -> calls: with and without -f, pids in front (-f -o FILE, [pid N]) or in the files' names (-ff), times (-t, -tt,
 * -ttt, -r), -i, -n, -T, and the tables of -c and -C. What strace does not say stays unknown here: on 32-bit x86 it shows
 * socketcall(2) and ipc(2) as the calls inside, and with -o FILE it writes the ABI of a program to standard error, not to FILE.
 */
import type { ArchitectureName } from '../document.ts'
import type { Collector } from './collector.ts'
import { lines } from './lines.ts'

const X32_BIT = 0x4000_0000 // __X32_SYSCALL_BIT, asm/unistd.h

/** One of the things that may stand before a call: a time, a relative time, an instruction pointer, a call's number. */
const DECORATION = /^ *(?:\d{1,2}:\d\d:\d\d(?:\.\d+)?|\d+\.\d+|\[ *(?:0x)?[0-9a-f?]+\]) +/
const PID = /^(?:\[pid +(\d+)\] +|(\d+) +)/
const CALL = /^([a-zA-Z_][a-zA-Z0-9_]{0,63})\(/
const RESUMED = /^<\.\.\. ([a-zA-Z_][a-zA-Z0-9_]{0,63}) resumed>/
const MODE = /^(?:strace: )?\[ Process PID=(\d+) runs in (32 bit|64 bit|x32) mode\. \]/
const ATTACHED = /strace: Process (\d+) attached/
const TABLE_MODE = /^System call usage summary for (32 bit|64 bit|x32) mode:/
const CHILD = /^(?:clone|clone3|fork|vfork)$/
const NEVER_NAMED = /^syscall_0x([0-9a-f]{1,8})$/

export interface StraceOptions {
  /** What a program is that strace says nothing of. */
  readonly architecture: ArchitectureName
}

/** How many calls of execve(2) only started the traced programs, and of which architecture. */
export interface StraceStart {
  readonly architecture: ArchitectureName
}

/**
 * Reads one file. Returns the program's start where the file begins with it: strace traces from before its own execve, which is no call
 * of the program.
 */
export function readStrace(text: string, into: Collector, { architecture }: StraceOptions): StraceStart | undefined {
  const reader = new Reader(into, architecture)
  for (const { line, number, torn } of lines(text)) reader.line(line, number, torn)
  return reader.start
}

class Reader {
  readonly #into: Collector
  readonly #native: ArchitectureName
  /** By pid; '' where lines have none. */
  readonly #modes = new Map<string, ArchitectureName>()
  readonly #unfinished = new Set<string>()
  /** The processes that live, as far as the lines say. */
  readonly #live = new Set<string>()
  #last: ArchitectureName
  #table: { calls: number; architecture: ArchitectureName } | undefined
  #tableMode: ArchitectureName | undefined
  #first = true
  start: StraceStart | undefined

  constructor(into: Collector, native: ArchitectureName) {
    this.#into = into
    this.#native = native
    this.#last = native
  }

  line(whole: string, number: number, torn: boolean): void {
    if (this.#tableLine(whole, number)) return
    const { pid: said, rest } = undecorated(whole)
    const pid = said ?? this.#sole()
    if (said !== undefined) this.#live.add(said)
    const mode = MODE.exec(rest)
    if (mode !== null) {
      this.#enter(mode[1] as string, this.#modeOf(mode[2] as string), said)
      return
    }
    const attached = ATTACHED.exec(rest)?.[1]
    if (attached !== undefined) this.#live.add(attached)
    if (rest.startsWith('+++ ')) this.#live.delete(pid)
    const resumed = RESUMED.exec(rest)
    if (resumed !== null) {
      // Without its beginning it was going on when strace came: a call of the program all the same.
      if (!this.#unfinished.delete(`${pid} ${resumed[1]}`)) this.#call(pid, resumed[1] as string, number, rest)
      else this.#child(pid, resumed[1] as string, rest)
      return
    }
    const name = CALL.exec(rest)?.[1]
    if (name === undefined) this.#other(rest, number)
    // A new process is announced in the middle of its parent's line.
    else if (attached !== undefined || /<unfinished \.\.\.>\s*$/.test(rest)) {
      this.#unfinished.add(`${pid} ${name}`)
      this.#call(pid, name, number, rest)
    } else if (rest.includes(' = ')) this.#call(pid, name, number, rest)
    else this.#into.note(torn ? 'a last line that is not whole' : 'lines that are not of strace', `line ${number}`)
  }

  /** The process that lines without a pid are about: the only one there is. */
  #sole(): string {
    const [first, ...more] = this.#live
    return first !== undefined && more.length === 0 ? first : ''
  }

  #enter(pid: string, architecture: ArchitectureName, said: string | undefined): void {
    this.#modes.set(pid, architecture)
    if (said !== undefined) return
    this.#modes.set('', architecture)
    this.#live.clear()
    this.#live.add(pid)
  }

  #other(rest: string, number: number): void {
    if (rest.startsWith('????(')) this.#into.note('a call that strace could not read', `line ${number}`)
    else if (!isComment(rest)) this.#into.note('lines that are not of strace', `line ${number}`)
  }

  #call(pid: string, name: string, number: number, rest: string): void {
    const architecture = this.#mode(pid)
    this.#last = architecture
    this.#child(pid, name, rest)
    if (this.#first && name === 'execve') this.start = { architecture }
    this.#first = false
    this.#add(architecture, name, `line ${number}`, 1)
  }

  #add(architecture: ArchitectureName, name: string, at: string, count: number): void {
    const unnamed = NEVER_NAMED.exec(name)
    if (unnamed === null) this.#into.add(architecture, name, at, { count })
    else {
      const number = Number.parseInt(unnamed[1] as string, 16)
      const seen = architecture === 'x32' && number < X32_BIT ? number + X32_BIT : number
      this.#into.addNumber(architecture, seen, { count })
    }
    if (architecture === 'x86' && (name === 'socket' || name.startsWith('shm') || name.startsWith('sem')))
      this.#into.note(
        'strace shows socketcall and ipc of 32-bit x86 as the calls inside; add them if the program uses them',
      )
  }

  /** A child begins in its parent's mode, and strace says nothing of it. */
  #child(pid: string, name: string, rest: string): void {
    if (!CHILD.test(name)) return
    const child = / = (\d+)/.exec(rest.slice(Math.max(0, rest.lastIndexOf(' = '))))?.[1]
    if (child !== undefined && !this.#modes.has(child)) this.#modes.set(child, this.#mode(pid))
  }

  #mode(pid: string): ArchitectureName {
    const known = this.#modes.get(pid)
    if (known !== undefined) return known
    this.#modes.set(pid, this.#last)
    return this.#last
  }

  #modeOf(said: string): ArchitectureName {
    const arm = this.#native === 'aarch64' || this.#native === 'arm'
    switch (said) {
      case '32 bit':
        return arm ? 'arm' : 'x86'
      case 'x32':
        return 'x32'
      default:
        return arm ? 'aarch64' : 'x86_64'
    }
  }

  /** The tables of -c: a heading, a rule, a line for each call, a rule, the total. */
  #tableLine(line: string, number: number): boolean {
    const mode = TABLE_MODE.exec(line)
    if (mode !== null) {
      this.#tableMode = this.#modeOf(mode[1] as string)
      return true
    }
    const words = line.trim().split(/\s+/)
    if (words.at(-1) === 'syscall' && words.includes('calls')) {
      // "% time" is two words, and one column.
      const columns = words[0] === '%' ? words.slice(1) : words
      this.#table = { calls: columns.indexOf('calls'), architecture: this.#tableMode ?? this.#native }
      return true
    }
    if (this.#table === undefined) return false
    if (/^[- ]+$/.test(line)) return true
    if (words.at(-1) === 'total') {
      this.#table = undefined
      this.#tableMode = undefined
      return true
    }
    const count = Number(words[this.#table.calls])
    const name = words.at(-1) as string
    if (words.length < 3 || !Number.isSafeInteger(count) || count < 0 || !/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/.test(name)) {
      this.#table = undefined
      return false
    }
    const { architecture } = this.#table
    // A table counts the start of the program, but no call that does not return.
    if (name === 'execve') this.start ??= { architecture }
    if (!this.#into.has(architecture, 'exit_group')) {
      this.#into.add(architecture, 'exit_group', `line ${number}`)
      this.#into.note('strace -c does not count exit_group, which is added')
    }
    this.#add(architecture, name, `line ${number}`, count)
    return true
  }
}

function undecorated(line: string): { pid: string | undefined; rest: string } {
  const found = PID.exec(line)
  let rest = found === null ? line : line.slice(found[0].length)
  // Relative times (-r) are padded on the left, as no call is.
  for (let decoration = DECORATION.exec(rest); decoration !== null; decoration = DECORATION.exec(rest))
    rest = rest.slice(decoration[0].length)
  return { pid: found?.[1] ?? found?.[2], rest }
}

/** Signals, ends, messages of strace's own, stack traces (-k). */
function isComment(rest: string): boolean {
  return rest.trim() === '' || /^(?:---|\+\+\+|strace: | > | <unfinished|\[ Process PID=)/.test(rest)
}
