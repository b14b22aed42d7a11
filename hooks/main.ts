/** oci-sandbox hook NAME: what a runtime is pointed at. */
import { loadSettings } from '../src/decide/settings.ts'
import { Memory } from '../src/enforce/remember.ts'
import { asSandboxError, oneLine, SandboxError } from '../src/errors.ts'
import { appendJournal } from '../src/host/journal.ts'
import { printError } from '../src/host/output.ts'
import { readStdin } from '../src/host/stdin.ts'
import { decodeState } from '../src/oci/state.ts'
import { hookContext } from './context.ts'
import { enforce } from './enforce.ts'
import { learn } from './learn.ts'
import { decodePrecreate, precreate } from './precreate.ts'

const HOOKS = { learn, enforce }

/** `settle` is no runtime's: the learn hook starts it (learn.ts). */
type HookName = keyof typeof HOOKS | 'precreate' | 'settle'

const NAMES: readonly HookName[] = ['learn', 'enforce', 'precreate', 'settle']

/**
 * Runs a hook and returns its exit code. Any error ends in exit code 1 with one line on standard error (which the runtime shows) and in
 * the journal: the container then does not start.
 */
export async function runHook(args: readonly string[]): Promise<number> {
  let store: string | undefined
  // After the container's end there is nothing left to refuse.
  let ended = false
  let container: string | undefined
  try {
    const { name, policy, config, answer } = parse(args)
    const memory = answer || name === 'precreate' ? Memory.begin(config) : undefined
    const settings = loadSettings(config, memory?.lookAtConfig)
    store = settings.store
    if (name === 'precreate') {
      const given = decodePrecreate(readStdin())
      container = given.container
      await precreate(given, settings, config, memory)
      return 0
    }
    if (name === 'settle') {
      ended = true
      await (await import('./settle.ts')).settle(policy, settings)
      return 0
    }
    const state = decodeState(readStdin())
    ended = state.status === 'stopped'
    container = state.id
    const context = hookContext(settings, state, memory)
    if (settings.logLevel === 'debug') {
      const message = `hook ${name}, ${state.status}: ${JSON.stringify(context.decision)}`
      appendJournal(store, { event: 'decided', container, message }, 'debug')
    }
    return await HOOKS[name](context, config)
  } catch (cause) {
    const error = asSandboxError(cause)
    const message = oneLine(error)
    printError(`oci-sandbox: ${message} [${error.code}]\n`)
    if (store !== undefined) {
      const event = ended ? 'failed' : 'refused'
      appendJournal(store, { event, code: error.code, container, message })
    }
    return 1
  }
}

/** By hand, as node:util's parseArgs would add a millisecond to every start of a hook. */
function parse(args: readonly string[]): {
  name: HookName
  policy: string
  config: string | undefined
  answer: boolean
} {
  const usage = (problem: string) =>
    new SandboxError('USAGE', `${problem}; usage: oci-sandbox hook learn|enforce|precreate [--config FILE]`)
  let config: string | undefined
  let answer = false
  const names: string[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as string
    if (argument === '--config') {
      config = args[++index]
      if (config === undefined) throw usage('--config: expected a file')
    } else if (argument.startsWith('--config=')) config = argument.slice('--config='.length)
    // From the helper (tracer/repeat/hook.c), which does what it is answered.
    else if (argument === '--answer') answer = true
    else if (argument.startsWith('-')) throw usage(`unknown option ${argument}`)
    else names.push(argument)
  }
  const name = NAMES.find((hook) => hook === names[0])
  if (name === undefined || names.length !== (name === 'settle' ? 2 : 1)) {
    throw usage(`expected the name of a hook, found ${names.join(' ') || 'none'}`)
  }
  return { name, policy: names[1] ?? '', config, answer }
}
