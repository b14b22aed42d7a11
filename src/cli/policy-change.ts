/** The changes of a policy that policy edit makes without an editor. */
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { type CallPlace, type CommentChange, changeCall, commentCall, commentPolicy } from '../policy/comments.ts'
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
    help: 'change this call (a name or a number), not the policy as a whole',
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
  if (text('arch') !== undefined && call === undefined) throw usage('--arch goes with --call CALL')
  if (!commenting && widening === undefined) {
    if (call === undefined) return undefined
    throw usage('--call says which call is changed; say how with --comment TEXT, --remove-comment TEXT or --widening')
  }
  const place = call === undefined ? undefined : placeOf(call, text('arch'))
  return (policy) => {
    const widened = widening === undefined ? policy : widen(policy, place, widening)
    return commenting ? comment(widened, place, comments) : widened
  }
}

function placeOf(call: string, architecture: string | undefined): CallPlace {
  return {
    call: /^\d+$/.test(call) ? `#${call}` : call,
    architecture: architecture as ArchitectureName | undefined,
  }
}

function widen(policy: PolicyDocument, place: CallPlace | undefined, widening: Widening): PolicyDocument {
  if (place === undefined) return { ...policy, widening }
  return changeCall(policy, place, (call) => ({ ...call, widening })) ?? absent(policy, place)
}

function comment(policy: PolicyDocument, place: CallPlace | undefined, change: CommentChange): PolicyDocument {
  const missing = (line: string): never => {
    throw usage(`policy ${policy.name} has no such comment${place === undefined ? '' : ` on ${place.call}`}: ${line}`)
  }
  if (place === undefined) return commentPolicy(policy, change, missing)
  return commentCall(policy, place, change, missing) ?? absent(policy, place)
}

function absent({ name }: PolicyDocument, { call, architecture }: CallPlace): never {
  const where = architecture === undefined ? '' : ` for ${architecture}`
  throw usage(`policy ${name} does not allow ${call}${where}; policy show lists what it allows`)
}

function wideningOf(text: string | undefined): Widening | undefined {
  const widening = WIDENINGS.find((known) => known === text)
  if (text !== undefined && widening === undefined) throw usage(`--widening ${text}: expected ${WIDENINGS.join(', ')}`)
  return widening
}

function usage(problem: string): SandboxError {
  return new SandboxError('USAGE', `policy edit: ${problem}`)
}
