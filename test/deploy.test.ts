/** deploy/ is what install writes, and Kubernetes' own part of it fits. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { decide } from '../src/decide/decide.ts'
import { withDefaults } from '../src/decide/settings.ts'
import { parseToml } from '../src/setup/toml.ts'
import { Installation } from './lib/installation.ts'

const DEPLOY = join(import.meta.dirname, '../deploy')
const read = (name: string) => readFileSync(join(DEPLOY, name), 'utf8')

test('the files for containerd, CRI-O and Docker are those of install', async (t) => {
  const host = Installation.create(t)
  t.match(await host.setup('install', '--containerd', '--crio', '--docker'), { exitCode: 0 })
  const written = (path: string) => (host.read(path) ?? '').replaceAll(host.bin, '/usr/local/bin')
  t.same(parseToml(written('/etc/containerd/config.toml')), parseToml(read('containerd.toml')))
  t.same(parseToml(written('/etc/crio/crio.conf.d/50-oci-sandbox.conf')), parseToml(read('crio.conf')))
  t.same(JSON.parse(written('/etc/docker/daemon.json')), JSON.parse(read('daemon.json')))
})

test('the RuntimeClass names the handler, and the pod the RuntimeClass', async (t) => {
  const runtimeClass = parse(read('runtimeclass.yaml'))
  t.match(runtimeClass, { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', handler: 'oci-sandbox' })
  const pod = parse(read('pod.yaml'))
  t.match(pod, { apiVersion: 'v1', kind: 'Pod', spec: { runtimeClassName: runtimeClass.metadata.name } })
  t.same(decide(pod.metadata.annotations, withDefaults({})), { kind: 'learn', policy: 'web', detail: 'names' })
})

test('README.md names every file', async (t) => {
  for (const name of readdirSync(DEPLOY)) if (name !== 'README.md') t.match(read('README.md'), `\`${name}\``)
})
