/**
 * Lines of the audit log or of the kernel's log -> calls: type=SECCOMP (1326) and type=SYSCALL (1300) records, as auditd writes them, as
 * ausearch -i shows them, and as dmesg and the journal have them.
 */
import type { ArchitectureName } from '../document.ts'
import type { Collector } from './collector.ts'
import { lines } from './lines.ts'

const X32_BIT = 0x4000_0000 // __X32_SYSCALL_BIT, asm/unistd.h

/** AUDIT_ARCH_* of linux/audit.h, and the names that ausearch -i gives them. */
const ARCHITECTURES: Readonly<Record<string, ArchitectureName>> = {
  c000003e: 'x86_64',
  x86_64: 'x86_64',
  '40000003': 'x86',
  i386: 'x86',
  c00000b7: 'aarch64',
  aarch64: 'aarch64',
  '40000028': 'arm',
  arm: 'arm',
}

/** What a record is, in each of its spellings. */
const RECORD = /\btype=(?:SECCOMP|SYSCALL|1326|1300)\b/
const FIELD = /(?:^|\s)(arch|syscall|comm)=("[^"]*"|\S+)/g

export interface AuditOptions {
  /** Only records of processes with this name (the field comm). */
  readonly comm?: string | undefined
}

export function readAudit(text: string, into: Collector, { comm }: AuditOptions): void {
  let others = 0
  for (const { line, number, torn } of lines(text)) {
    if (!RECORD.test(line)) {
      if (line.trim() !== '') others++
      continue
    }
    const fields = new Map<string, string>()
    // The first of each: behind the separator of enriched records the same fields stand once more, in capitals.
    for (const [, key, value] of line.matchAll(FIELD))
      if (!fields.has(key as string)) fields.set(key as string, unquoted(value as string))
    if (comm !== undefined && commOf(fields.get('comm')) !== comm) continue
    const [arch, syscall] = [fields.get('arch'), fields.get('syscall')]
    if (arch === undefined || syscall === undefined) {
      into.note(torn ? 'a last line that is not whole' : 'records without arch= or syscall=', `line ${number}`)
      continue
    }
    const key = arch.toLowerCase().replace(/^0x/, '')
    const architecture = Object.hasOwn(ARCHITECTURES, key) ? ARCHITECTURES[key] : undefined
    if (architecture === undefined) into.note('records of architectures that policies do not have', `arch=${arch}`)
    else addCall(into, architecture, syscall, `line ${number}`)
  }
  if (others > 0) into.note('other lines of the log', String(others))
}

function addCall(into: Collector, architecture: ArchitectureName, syscall: string, at: string): void {
  if (!/^-?\d+$/.test(syscall)) {
    into.add(architecture, syscall, at, { count: 1 })
    return
  }
  const number = Number(syscall)
  const x32 = architecture === 'x86_64' && number >= X32_BIT
  into.addNumber(x32 ? 'x32' : architecture, number, { count: 1 })
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1) : value
}

/** A name with spaces or control characters stands there in hexadecimal, without quotes. */
function commOf(field: string | undefined): string | undefined {
  if (field === undefined || !/^(?:[0-9A-F]{2}){4,16}$/.test(field)) return field
  return Buffer.from(field, 'hex').toString('utf8')
}
