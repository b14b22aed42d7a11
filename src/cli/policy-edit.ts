import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { oneLine, SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { print } from '../host/output.ts'
import { architecturesOf, decodePolicy, encodePolicy } from '../policy/document.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { listProblems } from '../validate.ts'
import type { Command } from './command.ts'
import { readInput } from './input.ts'
import { loadPolicy } from './load.ts'
import { changeOf, EDIT_OPTIONS } from './policy-change.ts'

export const policyEdit: Command = {
  name: 'policy edit',
  operands: 'POLICY',
  summary: 'Edit a policy in a text editor; what is wrong is not taken. Or change its comments or its widening.',
  details:
    'POLICY is the name of a policy in the store. The editor is $VISUAL, or $EDITOR, or vi. The text is checked before it takes the\n' +
    'place of the policy; where it is wrong, or somebody else has changed the policy meanwhile, it stays in a file that is named.\n\n' +
    'With an option no editor is started. Comments are lines; they stay where policies are merged and runs are learned.',
  options: EDIT_OPTIONS,
  arity: [1, 1],
  async run(invocation) {
    const { operands, store } = invocation
    const name = operands[0] as string
    store.directory(name)
    const policy = await loadPolicy(store, name)
    const change = changeOf(invocation)
    if (change !== undefined) {
      await store.update(name, (stored) =>
        stored === undefined ? undefined : checked(encodePolicy(change(stored)), name),
      )
      return 0
    }
    const before = encodePolicy(policy)
    const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-edit-'))
    const file = join(directory, `${name}.json`)
    writeFileSync(file, before, { mode: 0o600 })
    startEditor(file)
    try {
      const after = checked(readInput(file).toString('utf8'), name)
      if (encodePolicy(after) === before) print('nothing was changed\n')
      else {
        await store.update(name, (stored) => {
          if (stored === undefined || encodePolicy(stored) !== before)
            throw new SandboxError(
              'STORE_FAILED',
              `policy ${name} was changed by somebody else meanwhile; edit it again`,
            )
          return after
        })
      }
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error
      throw new SandboxError(error.code, `${error.message} (your text is in ${file})`, { cause: error })
    }
    rmSync(directory, { recursive: true, force: true })
    return 0
  },
}

/** Runs the editor on the terminal. As a shell command, as an EDITOR may have arguments (environ(7)). */
function startEditor(file: string): void {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  const { status, error } = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' })
  if (status === 0) return
  const why = error === undefined ? `it ended with exit code ${status}` : oneLine(error)
  throw new SandboxError(
    'INPUT_UNREADABLE',
    `the editor ${editor} failed: ${why}; nothing was changed (your text is in ${file})`,
  )
}

/** The edited policy, if it could be enforced. */
function checked(text: string, name: string): PolicyDocument {
  const policy = decodePolicy(text, 'that was edited')
  const problems =
    policy.name === name ? [] : [`/name: is ${JSON.stringify(policy.name)}; rename it with policy rename`]
  for (const [architecture, { syscalls }] of architecturesOf(policy)) {
    for (const { name: call } of syscalls) {
      if (call !== undefined && SYSCALL_NAMES.numberOf(architecture, call) === undefined)
        problems.push(`/architectures/${architecture}/syscalls/${call}: ${call} is no syscall of ${architecture}`)
    }
  }
  if (problems.length > 0)
    throw new SandboxError('POLICY_INVALID', `the policy that was edited: ${listProblems(problems)}`)
  return policy
}
