/** oci-sandbox hook NAME: what a runtime is pointed at. */
import { loadSettings } from '../src/decide/settings.ts'
import { Memory } from '../src/enforce/remember.ts'
import { asSandboxError, oneLine, SandboxError } from '../src/errors.ts'
import { appendJournal } from '../src/host/journal.ts'
import { printError } from '../src/host/output.ts'
import { readStdin } from '../src/host/stdin.ts'
import { decodeState, type State } from '../src/oci/state.ts'
import { hookContext } from './context.ts'
import { enforce } from './enforce.ts'
import { learn } from './learn.ts'

const HOOKS = { learn, enforce }

type HookName = keyof typeof HOOKS | 'precreate'

const NAMES: readonly HookName[] = ['learn', 'enforce', 'precreate']

/**
 * Runs a hook and returns its exit code. Any error ends in exit code 1 with one line on standard error (which the runtime shows) and in
 * the journal: the container then does not start.
 */
export async function runHook(args: readonly string[]): Promise<number> {
  let store: string | undefined
  let state: State | undefined
  let container: string | undefined
  try {
    const { name, config, answer } = parse(args)
    const memory = answer ? Memory.begin(config) : undefined
    const settings = loadSettings(config, memory?.lookAtConfig)
    store = settings.store
    if (name === 'precreate') {
      const { decodePrecreate, precreate } = await import('./precreate.ts')
      const given = decodePrecreate(readStdin())
      container = given.container
      await precreate(given, settings, config)
      return 0
    }
    state = decodeState(readStdin())
    container = state.id
    const context = hookContext(settings, state, memory)
    if (settings.logLevel === 'debug') {
      const message = `hook ${name}, ${state.status}: ${JSON.stringify(context.decision)}`
      appendJournal(store, { event: 'decided', container, message }, 'debug')
    }
    return await HOOKS[name](context)
  } catch (cause) {
    const error = asSandboxError(cause)
    const message = oneLine(error)
    printError(`oci-sandbox: ${message} [${error.code}]\n`)
    if (store !== undefined) {
      // After the container's end there is nothing left to refuse.
      const event = state?.status === 'stopped' ? 'failed' : 'refused'
      appendJournal(store, { event, code: error.code, container, message })
    }
    return 1
  }
}

/** By hand, as node:util's parseArgs would add a millisecond to every start of a hook. */
function parse(args: readonly string[]): { name: HookName; config: string | undefined; answer: boolean } {
  const usage = (problem: string) =>
    new SandboxError('USAGE', `${problem}; usage: oci-sandbox hook ${NAMES.join('|')} [--config FILE]`)
  let config: string | undefined
  let answer = false
  const names: string[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as string
    if (argument === '--config') {
      config = args[++index]
      if (config === undefined) throw usage('--config: expected a file')
    } else if (argument.startsWith('--config=')) config = argument.slice('--config='.length)
    // From the helper (tracer/hook.c), which does what it is answered.
    else if (argument === '--answer') answer = true
    else if (argument.startsWith('-')) throw usage(`unknown option ${argument}`)
    else names.push(argument)
  }
  const name = NAMES.find((hook) => hook === names[0])
  if (name === undefined || names.length !== 1) {
    throw usage(`expected the name of a hook, found ${names.join(' ') || 'none'}`)
  }
  return { name, config, answer }
}
