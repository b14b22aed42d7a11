/** doctor --calibrate, and what doctor says of a runtime's calibration. */
import { readFileSync } from 'node:fs'
import { sha256 } from '../host/hash.ts'
import { print } from '../host/output.ts'
import { calibrationsOf, currentCalibration, writeCalibration } from '../policy/calibration.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { calibrate } from '../setup/calibrate.ts'
import type { Finding } from '../setup/finding.ts'
import type { Invocation } from './command.ts'
import { runtimePath } from './installed-runtime.ts'
import { fill } from './text.ts'

/** Returns the exit code. Throws RUNTIME_FAILED. */
export async function runCalibration(invocation: Invocation): Promise<number> {
  const { settings, flag } = invocation
  const measured = await calibrate(runtimePath(invocation), SYSCALL_NAMES.nameOf)
  const path = writeCalibration(settings.store, measured)
  if (flag('json')) {
    print(`${JSON.stringify(measured, null, 2)}\n`)
    return 0
  }
  const { noNewPrivileges, newPrivileges } = measured.calls
  print(
    `${measured.path}: ${measured.version}, ${measured.runs} containers\n` +
      `noNewPrivileges true:\n${fill(noNewPrivileges, '  ')}` +
      `noNewPrivileges false:\n${fill(newPrivileges, '  ')}` +
      `written to ${path}\n`,
  )
  return 0
}

const COMMAND = 'oci-sandbox doctor --calibrate'

/** `runtime`: its path. */
export function calibrationFinding(store: string, runtime: string): Finding {
  const check = 'calibration'
  const remedy = `${COMMAND} --runtime ${runtime}`
  const last = calibrationsOf(store, runtime).at(-1)
  if (last === undefined) {
    const found = `${runtime} is not calibrated: linux.seccomp and exported profiles hold the shipped table of runtimes' own calls`
    return { check, state: 'ok', found, remedy: `to measure them: ${remedy}` }
  }
  const current = currentCalibration(store, runtime)
  if (current !== undefined && sha256(readFileSync(runtime)) === current.digest) {
    return { check, state: 'ok', found: `${runtime} (${current.version}) was calibrated at ${current.date}` }
  }
  const changed = `${runtime} is not calibrated: it has changed since ${last.date} (${last.version})`
  const effect =
    current === undefined ? 'the shipped table holds' : 'with the same size and time, so the old list is still used'
  return { check, state: 'warning', found: `${changed}; ${effect}`, remedy }
}
