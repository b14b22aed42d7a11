/** policy overlay and policy minimize: policies made of others. */
import { basename, dirname, resolve } from 'node:path'
import { SandboxError } from '../errors.ts'
import { sha256 } from '../host/hash.ts'
import { print } from '../host/output.ts'
import { decodePolicy, encodePolicy } from '../policy/document.ts'
import { unseenCalls } from '../policy/kernel-calls.ts'
import { applyOverlay, decodeOverlay, minimised, type Overlay } from '../policy/overlay.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { listProblems } from '../validate.ts'
import type { Command } from './command.ts'
import { readInput } from './input.ts'
import { loadPolicy } from './load.ts'
import { keptNotes, replaceMade } from './made.ts'
import { readProfileFile } from './profile-file.ts'

/** The mark of a policy that an overlay made, and that may be replaced by its next version. */
const FORMAT = 'overlay'

export const policyOverlay: Command = {
  name: 'policy overlay',
  operands: 'POLICY FILE',
  summary: 'Make a policy of a learned one and of changes by hand.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash; it stays as it is and can go on learning. FILE is a JSON\n' +
    'object; each key may be left out, and they are applied in this order:\n\n' +
    '  "intersect": ["FILE", ...]   only what these profiles or policies allow as well (paths as seen from FILE)\n' +
    '  "deny": ["NAME", ...]        without these calls\n' +
    '  "allow": [{ "name": "NAME", "reason": "why", "rules": [...] }, ...]   with these, each with its reason\n\n' +
    'The result is the policy that --name says: a new one, or one that an overlay made before, which is replaced.',
  options: {
    name: { type: 'string', value: 'NAME', help: 'the policy that is made (required)' },
    'dry-run': { type: 'boolean', help: 'say what would change, and write nothing' },
  },
  arity: [2, 2],
  async run({ operands, store, text, flag }) {
    const [operand, file] = operands as [string, string]
    const name = text('name')
    if (name === undefined) throw new SandboxError('USAGE', 'policy overlay: say which policy is made with --name NAME')
    store.directory(name)
    const policy = await loadPolicy(store, operand)
    const source = readInput(file)
    const overlay = readOverlay(file, source.toString('utf8'))
    const others = overlay.intersect.map((path) => readProfileFile(file === '-' ? path : resolve(dirname(file), path)))
    const unknown: string[] = []
    const { policy: result, notes } = applyOverlay(policy, overlay, others, SYSCALL_NAMES, (problem) =>
      unknown.push(`/: ${problem}`),
    )
    if (unknown.length > 0) throw invalid(file, listProblems(unknown))
    for (const note of notes) print(`${note}\n`)
    const provenance = {
      format: FORMAT,
      ...(file === '-' ? {} : { source: basename(file).slice(0, 256) }),
      digest: `sha256:${sha256(source)}`,
      date: new Date().toISOString(),
      ...keptNotes(notes),
    }
    const made = {
      ...result,
      name,
      imports: [...(policy.imports ?? []).filter(({ format }) => format !== FORMAT), provenance],
    }
    if (!flag('dry-run')) await replaceMade(store, decodePolicy(encodePolicy(made), 'that the overlay makes'), FORMAT)
    return 0
  },
}

export const policyMinimize: Command = {
  name: 'policy minimize',
  operands: 'POLICY',
  summary: 'Take out of a policy what nothing says that the program needs.',
  details:
    'POLICY is the name of a policy in the store. What goes: siblings, and imported calls that no run made and that have no reason. A\n' +
    'policy without a complete run is left alone, as its runs do not show all that the program needs.',
  options: { 'dry-run': { type: 'boolean', help: 'say what would go, and write nothing' } },
  arity: [1, 1],
  async run({ operands, store, flag }) {
    const name = operands[0] as string
    store.directory(name)
    const policy = await loadPolicy(store, name)
    if (!policy.complete) {
      throw new SandboxError(
        'POLICY_INVALID',
        `policy ${name} has no complete run: what no run made may be needed all the same; learn a run to its end first`,
      )
    }
    const { removed } = minimised(policy, unseenCalls)
    for (const call of removed) print(`${call}\n`)
    if (!flag('dry-run')) {
      await store.update(name, (stored) => (stored === undefined ? undefined : minimised(stored, unseenCalls).policy))
    }
    return 0
  },
}

function readOverlay(file: string, text: string): Overlay {
  return decodeOverlay(text, (problem) => {
    throw invalid(file, problem)
  })
}

function invalid(file: string, problem: string): SandboxError {
  return new SandboxError('IMPORT_INVALID', `${file} is no overlay: ${problem}`)
}
