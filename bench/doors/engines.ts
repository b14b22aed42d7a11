/** Docker, and containerd with its own client and as Kubernetes uses it (CRI): each of them a daemon that is started for these cases. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Containerd } from '../../test/engines/containerd.ts'
import { Cri } from '../../test/engines/cri.ts'
import { Docker } from '../../test/engines/docker.ts'
import { SHIM } from '../paths.ts'
import { added, type Case, ENFORCED, type Ground, type Measure, POLICY, run, since } from './case.ts'

/** Of the engines' image; without arguments it ends at once. */
const PROGRAM = '/fixtures/act'

export async function containerdCases(ground: Ground): Promise<Case[]> {
  const { workspace } = ground
  const { config } = ground.store('containerd')
  const directory = ground.shortFolder()
  // containerd takes the path of a runtime and no arguments. Both are behind a script, so it is not in the difference.
  const runtime = script(directory, 'shim', `${SHIM} --config ${config}`)
  const containerd = await Containerd.start(
    workspace,
    { directory, tmp: directory },
    runtime,
    script(directory, 'runc', 'runc'),
  )
  const ctr = (handler: 'runc' | 'oci-sandbox', annotations: Readonly<Record<string, string>>): Measure => {
    const line = containerd.line(handler, `bench-${process.pid}-${handler}`, annotations, PROGRAM)
    return () => run(line)
  }
  const client = new Cri(containerd.socket, containerd.directory)
  const cri = async (handler: string, annotations: Readonly<Record<string, string>>): Promise<Measure> => {
    const pod = await client.startPod(handler, {})
    workspace.teardown(() => client.removePod(pod.id))
    return async () => {
      const start = process.hrtime.bigint()
      const container = await client.start(pod, annotations, [PROGRAM])
      const ms = since(start)
      const { exitCode, output } = await client.end(container)
      if (exitCode !== 0) throw new Error(`a container of a pod of ${handler}: exit code ${exitCode}: ${output}`)
      await client.call('RemoveContainer', { 1: container.id })
      return ms
    }
  }
  const alone = 'ctr run'
  const kubelet = 'CRI create and start'
  return [
    { name: alone, measure: ctr('runc', {}) },
    added(alone, 'shim', 'shim', ctr('oci-sandbox', ENFORCED)),
    { name: kubelet, measure: await cri('runc', {}) },
    added(kubelet, 'shim', 'shim', await cri('oci-sandbox', ENFORCED)),
  ]
}

export async function dockerCases(ground: Ground): Promise<Case[]> {
  const { workspace } = ground
  const { config } = ground.store('docker')
  const directory = ground.shortFolder()
  const runtimeArgs = ['--config', config, '--mode', 'enforce', '--policy', POLICY]
  // Docker starts a runtime that has arguments through a script of its own: a runc that has some shows what that takes.
  const runc = { path: '/usr/sbin/runc', runtimeArgs: ['--debug=false'] }
  const runtimes = { enforce: { path: SHIM, runtimeArgs }, 'runc-with-arguments': runc }
  const docker = await Docker.start(workspace, { directory, tmp: directory }, runtimes)
  const base = 'docker run'
  const measure = (runtime: string): Measure => {
    const line = docker.line(runtime, ['--rm'], PROGRAM)
    return () => run(line)
  }
  const plain = added(base, 'runc with arguments', undefined, measure('runc-with-arguments'))
  return [
    { name: base, measure: measure('runc') },
    plain,
    added(plain.name, 'shim in its place', 'shim', measure('enforce')),
  ]
}

function script(directory: string, name: string, command: string): string {
  const path = join(directory, name)
  writeFileSync(path, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 })
  return path
}
