import { print } from '../host/output.ts'
import { Tree } from '../host/tree.ts'
import type { Finding } from '../setup/finding.ts'
import { runCalibration } from './calibration.ts'
import type { Command } from './command.ts'
import { checks } from './doctor-checks.ts'
import { RUNTIME_OPTION, runtimePathIfInstalled } from './installed-runtime.ts'

const MARK: Record<Finding['state'], string> = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' }

export const doctor: Command = {
  name: 'doctor',
  summary: 'Say whether this machine is ready to learn and to enforce, and if not, what to do.',
  details:
    'Exit code 0: ready. 1: there is a problem. Run it as the user who starts containers (root). It tries what it can, and looks\n' +
    'through the configuration of podman, containerd, Docker and CRI-O for what is half installed.\n\n' +
    'With --calibrate it starts some 80 small containers with the runtime, which takes a while, and keeps in the store what the runtime\n' +
    'itself calls after it has loaded linux.seccomp.',
  options: {
    json: { type: 'boolean', help: 'as JSON' },
    'hooks-dir': {
      type: 'string',
      value: 'DIR',
      help: 'look for hook manifests in DIR as well, as podman --hooks-dir does',
    },
    calibrate: {
      type: 'boolean',
      help: 'measure which calls the runtime makes itself under linux.seccomp, for profiles and bundles',
    },
    runtime: RUNTIME_OPTION,
    root: { type: 'string', value: 'DIR', help: 'the system whose configuration is meant is mounted at DIR' },
  },
  arity: [0, 0],
  async run(invocation) {
    const { settings, flag, text } = invocation
    if (flag('calibrate')) return await runCalibration(invocation)
    const directory = text('hooks-dir')
    const hooks = directory === undefined ? [] : [directory]
    const findings = [
      ...checks(settings, { tree: new Tree(text('root')), hooks, runtime: runtimePathIfInstalled(invocation) }),
    ]
    if (flag('json')) {
      print(`${JSON.stringify(findings, null, 2)}\n`)
    } else {
      for (const { check, state, found, remedy } of findings) {
        print(`${MARK[state]} ${check}: ${found}\n${remedy === undefined ? '' : `        -> ${remedy}\n`}`)
      }
    }
    return findings.some(({ state }) => state === 'problem') ? 1 : 0
  },
}
