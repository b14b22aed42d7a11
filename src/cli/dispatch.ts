/** Finds the command that was typed. */
import { runHook } from '../../hooks/main.ts'
import { SandboxError } from '../errors.ts'
import { print } from '../host/output.ts'
import { VERSION } from '../version.ts'
import { type Command, runCommand } from './command.ts'
import { compile } from './compile.ts'
import { completion } from './completion/command.ts'
import { disassemble } from './disassemble.ts'
import { doctor } from './doctor.ts'
import { events } from './events.ts'
import { explain } from './explain.ts'
import { importCommand } from './import.ts'
import { install, uninstall } from './install.ts'
import { learnCommand } from './learn.ts'
import { policyDiff } from './policy-diff.ts'
import { policyEdit } from './policy-edit.ts'
import { policyExport } from './policy-export.ts'
import { policyMerge, policyRename, policyRm } from './policy-life.ts'
import { policyLint } from './policy-lint.ts'
import { policyList } from './policy-list.ts'
import { policyMigrate } from './policy-migrate.ts'
import { policyMinimize, policyOverlay } from './policy-overlay.ts'
import { policyShow } from './policy-show.ts'
import { policySiblings } from './policy-siblings.ts'
import { policyStatusCommand } from './policy-status.ts'
import { policyTranslate } from './policy-translate.ts'
import { policyVerify } from './policy-verify.ts'
import { report } from './report.ts'
import { simulate } from './simulate.ts'
import { top } from './top.ts'

export const COMMANDS: readonly Command[] = [
  policyList,
  policyShow,
  policyVerify,
  policyDiff,
  policyStatusCommand,
  policyExport,
  policyLint,
  policyMerge,
  policyRename,
  policyRm,
  policyEdit,
  policyOverlay,
  policyMinimize,
  policyMigrate,
  policySiblings,
  policyTranslate,
  learnCommand,
  report,
  top,
  events,
  importCommand,
  compile,
  explain,
  simulate,
  disassemble,
  doctor,
  install,
  uninstall,
  completion,
]

/** Runs the command at the start of the arguments; options may stand before it. */
export function dispatch(args: readonly string[]): number | Promise<number> {
  const { before, rest } = splitOptions(args)
  const command = COMMANDS.find(({ name }) => name.split(' ').every((word, index) => rest[index] === word))
  if (command !== undefined) return runCommand(command, [...before, ...rest.slice(command.name.split(' ').length)])
  if (before.includes('--version') || before.includes('-V')) {
    print(`oci-sandbox ${VERSION}\n`)
    return 0
  }
  if (rest[0] === 'help' && rest.length > 1) return dispatch([...rest.slice(1), '--help'])
  if (rest[0] === 'help' || args.includes('--help') || args.includes('-h')) {
    print(overview())
    return 0
  }
  if (rest[0] === 'hook') return runHook([...before, ...rest.slice(1)])
  if (rest.length === 0) throw new SandboxError('USAGE', 'expected a command; see oci-sandbox --help')
  throw new SandboxError('USAGE', `${JSON.stringify(rest.slice(0, 2).join(' '))} is no command; see oci-sandbox --help`)
}

/** The options before the first word; --config is the only one of them that takes a value. */
function splitOptions(args: readonly string[]): { before: string[]; rest: string[] } {
  let at = 0
  while (args[at]?.startsWith('-')) at += args[at] === '--config' ? 2 : 1
  return { before: args.slice(0, at), rest: args.slice(at) }
}

export function overview(): string {
  const rows = COMMANDS.map(
    ({ name, operands, summary }) => [[name, operands].filter(Boolean).join(' '), summary] as const,
  )
  const width = Math.max(...rows.map(([left]) => left.length))
  return `Usage: oci-sandbox [--config FILE] COMMAND [OPTIONS]

Learn what a container does, then let it do nothing else.

Commands:
${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')}

Hooks, for OCI runtimes (createRuntime, prestart; learn also in poststop), with the container's state on standard input:
  ${'hook learn'.padEnd(width)}  record what a container with io.sandbox.mode=learn does
  ${'hook enforce'.padEnd(width)}  hold a container with io.sandbox.mode=enforce to its policy
  ${'hook precreate'.padEnd(width)}  prepare a container's configuration for podman: it stands on standard input, the changed one on standard output

oci-sandbox COMMAND --help says more of each. See also oci-sandbox(1).
`
}
