/** The changes of a policy that policy edit makes without an editor. */
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { type CommentChange, commentCall, commentPolicy } from '../policy/comments.ts'
import type { ArchitectureName } from '../policy/document.ts'
import { WIDENINGS, type Widening } from '../policy/widen.ts'
import { ARCH_OPTION } from './call.ts'
import type { Invocation, Option } from './command.ts'

export const EDIT_OPTIONS: Readonly<Record<string, Option>> = {
  comment: {
    type: 'string',
    value: 'TEXT',
    multiple: true,
    help: 'add a comment, a line of text (may be given several times)',
  },
  'remove-comment': { type: 'string', value: 'TEXT', multiple: true, help: 'remove a comment' },
  call: {
    type: 'string',
    value: 'CALL',
    help: 'comments of this call (a name or a number), not of the policy as a whole',
  },
  arch: { ...ARCH_OPTION, help: 'with --call: only of this architecture' },
  widening: {
    type: 'string',
    value: WIDENINGS.join('|'),
    help: 'how far the policy goes beyond the arguments that were learned',
  },
}

/** What the options ask for; undefined where they ask for nothing. Throws USAGE, also from the change itself. */
export function changeOf({ text, texts }: Invocation): ((policy: PolicyDocument) => PolicyDocument) | undefined {
  const comments = { add: texts('comment'), remove: texts('remove-comment') }
  const [call, widening] = [text('call'), wideningOf(text('widening'))]
  const commenting = comments.add.length + comments.remove.length > 0
  if (!commenting && (call ?? text('arch')) !== undefined)
    throw usage('--call and --arch say where a comment goes; say which with --comment TEXT or --remove-comment TEXT')
  if (text('arch') !== undefined && call === undefined) throw usage('--arch goes with --call CALL')
  if (!commenting && widening === undefined) return undefined
  return (policy) => {
    const widened = widening === undefined ? policy : { ...policy, widening }
    return commenting ? commented(widened, call, text('arch'), comments) : widened
  }
}

function commented(
  policy: PolicyDocument,
  call: string | undefined,
  architecture: string | undefined,
  change: CommentChange,
): PolicyDocument {
  const missing = (comment: string): never => {
    throw usage(`policy ${policy.name} has no such comment${call === undefined ? '' : ` on ${call}`}: ${comment}`)
  }
  if (call === undefined) return commentPolicy(policy, change, missing)
  const key = /^\d+$/.test(call) ? `#${call}` : call
  const result = commentCall(policy, key, architecture as ArchitectureName | undefined, change, missing)
  if (result !== undefined) return result
  const where = architecture === undefined ? '' : ` for ${architecture}`
  throw usage(
    `policy ${policy.name} does not allow ${call}${where}; policy show lists the calls that can have comments`,
  )
}

function wideningOf(text: string | undefined): Widening | undefined {
  const widening = WIDENINGS.find((known) => known === text)
  if (text !== undefined && widening === undefined) throw usage(`--widening ${text}: expected ${WIDENINGS.join(', ')}`)
  return widening
}

function usage(problem: string): SandboxError {
  return new SandboxError('USAGE', `policy edit: ${problem}`)
}
