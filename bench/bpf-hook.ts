/** oci-seccomp-bpf-hook (Debian's package, not installed: its manifest would be used by every podman of this machine). */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Container } from './container.ts'
import { BUILD } from './paths.ts'

const DIRECTORY = join(BUILD, 'oci-seccomp-bpf-hook')
const PROGRAM = join(DIRECTORY, 'usr/libexec/oci/hooks.d/oci-seccomp-bpf-hook')
const OUTPUT = join(DIRECTORY, 'profile.json')
/** It gives up by itself after 10 s. */
const PATIENCE = 20_000

/** What adds it to a container; nothing, and a note, where it does not run. */
export function bpfHook(notes: string[]): ((container: Container) => Container)[] {
  const problem = fetch() ?? attempt()
  if (problem !== undefined) {
    notes.push(`oci-seccomp-bpf-hook does not run here: ${problem}`)
    return []
  }
  const annotations = { 'io.containers.trace-syscall': `of:${OUTPUT}` }
  const hooks = { createRuntime: [{ path: PROGRAM, args: ['oci-seccomp-bpf-hook', '-s'] }] }
  return [(container) => ({ ...container, annotations, hooks })]
}

function fetch(): string | undefined {
  if (existsSync(PROGRAM)) return undefined
  mkdirSync(DIRECTORY, { recursive: true })
  const got = spawnSync('apt-get', ['download', '-q', 'oci-seccomp-bpf-hook'], { cwd: DIRECTORY, encoding: 'utf8' })
  const archive = readdirSync(DIRECTORY).find((name) => name.endsWith('.deb'))
  if (archive === undefined) return `it could not be fetched: ${got.stderr.trim()}`
  const unpacked = spawnSync('dpkg', ['-x', archive, '.'], { cwd: DIRECTORY, encoding: 'utf8' })
  return unpacked.status === 0 ? undefined : unpacked.stderr.trim()
}

/** On a process that only waits. */
function attempt(): string | undefined {
  const init = spawn('sleep', ['60'], { stdio: 'ignore' })
  const annotations = { 'io.containers.trace-syscall': `of:${OUTPUT}` }
  const state = { ociVersion: '1.0.2', id: 'bench', status: 'creating', pid: init.pid, bundle: DIRECTORY, annotations }
  rmSync(OUTPUT, { force: true })
  const { status, stderr, error } = spawnSync(PROGRAM, ['-s'], {
    input: JSON.stringify(state),
    encoding: 'utf8',
    timeout: PATIENCE,
  })
  init.kill('SIGKILL')
  if (status === 0) return undefined
  const said = (stderr ?? '').trim() || String(error)
  return said
    .split('\n')
    .at(-1)
    ?.replace(/^.*msg="(.*)"$/, '$1')
}
