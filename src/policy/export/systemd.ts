/** Policy -> a drop-in for a systemd unit (systemd.exec(5), SystemCallFilter=). Pure. */
import type { PolicyDocument } from '../../generated/policy.ts'
import type { ViolationAction } from '../../oci/annotations.ts'
import type { ArchitectureName } from '../document.ts'
import { impossible, type OneList } from './one-list.ts'

const ARCHITECTURE: Record<ArchitectureName, string> = {
  aarch64: 'arm64',
  arm: 'arm',
  x32: 'x32',
  x86: 'x86',
  x86_64: 'x86-64',
}

const WIDTH = 120

/** Throws EXPORT_IMPOSSIBLE where calls have argument rules, which the format does not know. */
export function systemdDropIn(
  policy: PolicyDocument,
  { architectures, syscalls }: OneList,
  action: ViolationAction,
): string {
  const ruled = syscalls.filter(({ rules }) => rules !== undefined).map(({ name }) => name)
  if (ruled.length > 0) {
    throw impossible(
      policy,
      `SystemCallFilter= knows no arguments, but the policy has rules for ${ruled.join(', ')}; allow any arguments with --lossy`,
    )
  }
  if (action === 'log')
    throw impossible(policy, 'SystemCallFilter= cannot let a violation pass; choose --action errno or kill')
  const names = syscalls.map(({ name }) => name as string)
  return [
    `# Made from the policy ${policy.name}. systemd itself also allows its group @default.`,
    '[Service]',
    `SystemCallArchitectures=${architectures.map((name) => ARCHITECTURE[name]).join(' ')}`,
    ...filled(names).map((line) => `SystemCallFilter=${line}`),
    ...(action === 'errno' ? ['SystemCallErrorNumber=EPERM'] : []),
    '',
  ].join('\n')
}

/** Several lines of one kind are one list. */
function filled(names: readonly string[]): string[] {
  const lines: string[] = []
  let line = ''
  for (const name of names) {
    if (line !== '' && line.length + 1 + name.length > WIDTH) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? name : ` ${name}`
  }
  return [...lines, line]
}
