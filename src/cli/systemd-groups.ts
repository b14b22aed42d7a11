/** systemd's groups of calls: from a file, or from the systemd that is installed. */
import { spawnSync } from 'node:child_process'
import { SandboxError } from '../errors.ts'
import { readGroups } from '../policy/import/systemd.ts'
import { readInput } from './input.ts'

/** Throws INPUT_UNREADABLE. */
export function systemdGroups(file: string | undefined): ReadonlyMap<string, readonly string[]> {
  if (file !== undefined) return readGroups(readInput(file).toString('utf8'))
  const { status, stdout, error } = spawnSync('systemd-analyze', ['syscall-filter'], {
    encoding: 'utf8',
    timeout: 10_000,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', SYSTEMD_COLORS: '0' },
  })
  if (status === 0) return readGroups(stdout)
  throw new SandboxError(
    'INPUT_UNREADABLE',
    `systemd-analyze syscall-filter: ${error?.message ?? `exit code ${status}`}; give systemd's groups with --groups FILE`,
  )
}
