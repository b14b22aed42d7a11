/** What is added to a container to learn it or to hold it to a policy, and a policy of a realistic size. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Container, Hook, Store, Workspace } from './container.ts'
import { FIXTURES, FIXTURES_INSIDE, MAIN_SCRIPT, OCI_SANDBOX, TRACER } from './paths.ts'

export type HookName = 'learn' | 'enforce'

/** As the manifests have it. */
export function hook(name: HookName, { config }: Store): Hook {
  const path = name === 'enforce' ? TRACER : OCI_SANDBOX
  return { path, args: [basename(path), 'hook', name, '--config', config] }
}

/** The program itself, with nothing remembered. */
export function directHook(name: HookName, { config }: Store): Hook {
  return { path: OCI_SANDBOX, args: ['oci-sandbox', 'hook', name, '--config', config] }
}

/** The same hook, run by the Node that runs the benchmark. */
export function nodeHook(name: HookName, { config }: Store): Hook {
  return { path: process.execPath, args: ['node', MAIN_SCRIPT, 'hook', name, '--config', config] }
}

export function annotations(mode: HookName, policy: string): Record<string, string> {
  return { 'io.sandbox.mode': mode, 'io.sandbox.policy': policy }
}

/** A container that is learned, with both of the hook's stages. */
export function learned(container: Container, store: Store, policy: string): Container {
  const learn = hook('learn', store)
  return {
    ...container,
    annotations: annotations('learn', policy),
    hooks: { createRuntime: [learn], poststop: [learn] },
  }
}

export function enforced(container: Container, store: Store, policy: string): Container {
  return {
    ...container,
    annotations: annotations('enforce', policy),
    hooks: { createRuntime: [hook('enforce', store)] },
  }
}

/** A fixture in a container. */
export function fixture(name: string, ...args: string[]): Container {
  return { args: [`${FIXTURES_INSIDE}/${name}`, ...args], mounts: { [FIXTURES_INSIDE]: FIXTURES } }
}

export const REALISTIC = 'realistic'

interface Policy {
  name: string
  architectures: Record<string, { syscalls: { name?: string; rules?: unknown }[] }>
}

/** Python at work: about as many syscalls as the programs that people enforce. */
const PYTHON = `
import asyncio, json, os, socket, subprocess, tempfile, threading
asyncio.run(asyncio.sleep(0))
thread = threading.Thread(target=json.dumps, args=({},)); thread.start(); thread.join()
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, 'a'), 'w') as file: file.write('a'); file.flush(); os.fsync(file.fileno())
    os.rename(os.path.join(folder, 'a'), os.path.join(folder, 'b')); os.chmod(os.path.join(folder, 'b'), 0o600)
server = socket.create_server(('127.0.0.1', 0)); server.close()
subprocess.run(['/bin/sh', '-c', 'true'], check=True)
`

/**
 * A policy that was learned from Python and from the fixtures that are held to it. It allows getpgid() with pid 0 only. The result is
 * its text under any name.
 */
export function realisticPolicy(workspace: Workspace): { text(name: string): string; syscalls: number } {
  const store = workspace.store(REALISTIC)
  const python = { args: ['/usr/bin/python3', '-c', PYTHON], env: ['PYTHONDONTWRITEBYTECODE=1'] }
  for (const container of [python, fixture('calls', '1000'), fixture('exit')]) {
    workspace.prepare(learned(container, store, REALISTIC))()
  }
  const show = ['--config', store.config, 'policy', 'show', REALISTIC, '--json']
  const policy = JSON.parse(execFileSync(OCI_SANDBOX, show, { encoding: 'utf8' })) as Policy
  const syscalls = Object.values(policy.architectures).flatMap((architecture) => architecture.syscalls)
  for (const syscall of syscalls) {
    if (syscall.name === 'getpgid') syscall.rules = [[{ index: 0, op: '==', value: 0 }]]
  }
  return { text: (name) => `${JSON.stringify({ ...policy, name }, null, 2)}\n`, syscalls: syscalls.length }
}

/** Puts a policy into a store. */
export function storePolicy(store: Store, name: string, text: string): void {
  const file = policyFile(store, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** The profile that `policy export --format oci` makes of it. */
export function ociProfile(store: Store, name: string): unknown {
  const args = ['--config', store.config, 'policy', 'export', name, '--format', 'oci']
  return JSON.parse(execFileSync(OCI_SANDBOX, args, { encoding: 'utf8' }))
}

function policyFile({ root }: Store, name: string): string {
  return join(root, 'policies', name, 'policy.json')
}
