/** Options that several commands take. */
import { SandboxError } from '../errors.ts'
import { ACTIONS, type ViolationAction } from '../oci/annotations.ts'
import type { Option } from './command.ts'

export const ACTION_OPTION: Option = {
  type: 'string',
  value: ACTIONS.join('|'),
  help: 'what a violation gets (default: errno, which is EPERM)',
}

export function actionOf(text: string | undefined): ViolationAction {
  const action = ACTIONS.find((known) => known === (text ?? 'errno'))
  if (action === undefined) throw new SandboxError('USAGE', `--action ${text}: expected ${ACTIONS.join(', ')}`)
  return action
}
