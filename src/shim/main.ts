/**
 * oci-sandbox shim: what the helper asks that oci-sandbox-runtime is (tracer/repeat/shim.c), before it becomes the real runtime. Standard output is
 * the plan for it and nothing else; with an error there is none, and the runtime is not started.
 */
import { resolve } from 'node:path'
import { loadSettings } from '../decide/settings.ts'
import { Memory } from '../enforce/remember.ts'
import { asSandboxError, oneLine, SandboxError } from '../errors.ts'
import { appendJournal } from '../host/journal.ts'
import { print } from '../host/output.ts'
import { encodeQuestion } from '../oci/question.ts'
import { create } from './create.ts'
import type { Invocation } from './invocation.ts'
import { join } from './join.ts'
import { type Draft, readCommandLine, STARTING, type Starting } from './options.ts'
import { encodePlan, requireText } from './plan.ts'
import { report } from './report.ts'
import { restore } from './restore.ts'
import { findRuntime } from './runtime.ts'

const HANDLERS: Readonly<Record<Starting, (invocation: Invocation) => Promise<readonly string[]>>> = {
  create,
  run: create,
  exec: join,
  restore,
}

/** What the helper knows from it: the error is where it belongs already. */
const REPORTED = 3

/** `args`: the process id of oci-sandbox-runtime, and its arguments. Returns the exit code. */
export async function runShim([pid, ...args]: readonly string[]): Promise<number> {
  const command: Draft = { own: {}, globals: [], rest: [] }
  let store: string | undefined
  try {
    if (!/^[1-9]\d*$/.test(pid ?? '')) throw new SandboxError('USAGE', 'oci-sandbox shim is for oci-sandbox-runtime')
    requireText(args)
    readCommandLine(args, command)
    const config = command.own.config === undefined ? undefined : resolve(command.own.config)
    const memory = Memory.begin(config)
    const settings = loadSettings(config, memory?.lookAtConfig)
    store = settings.store
    const runtime = findRuntime(settings.runtime)
    const { subcommand, globals, rest, root } = command
    const starting = STARTING.find((name) => name === subcommand)
    if (starting === undefined) {
      print(encodePlan([runtime, ...globals, ...(subcommand === undefined ? [] : [subcommand]), ...rest]))
      memory?.keep(encodeQuestion('runtime', {}), { kind: 'pass', runtime: settings.runtime })
      return 0
    }
    const place = (id: string) => ({ id, runtime, root: root === undefined ? undefined : resolve(root) })
    const invocation = { command, subcommand: starting, settings, config, memory, runtime, pid: Number(pid), place }
    print(encodePlan([runtime, ...(await HANDLERS[starting](invocation))]))
    return 0
  } catch (cause) {
    const error = asSandboxError(cause)
    report(error, command)
    if (store !== undefined) appendJournal(store, { event: 'refused', code: error.code, message: oneLine(error) })
    return REPORTED
  }
}
