/** The path that Kubernetes takes: containerd's CRI plugin with a runtime handler of ours, pod and container annotations. */
import { test } from 'tap'
import { policyNameOfImage } from '../../src/policy/name.ts'
import { Containerd } from '../engines/containerd.ts'
import { Cri } from '../engines/cri.ts'
import { IMAGE } from '../engines/image.ts'
import { needs } from '../lib/needs.ts'
import { Sandbox } from '../lib/sandbox.ts'

const HANDLER = 'oci-sandbox'
const annotations = (mode: string) => ({ 'io.sandbox.mode': mode, 'io.sandbox.policy': 'test' })

test('pods: learn, enforce, refuse, exec; the pause container is left alone', needs('containerd'), async (t) => {
  const sandbox = await Sandbox.create(t)
  const containerd = await Containerd.start(t, sandbox, sandbox.runtime())
  const cri = new Cri(containerd.socket, containerd.directory)

  await cri.withPod(HANDLER, {}, async (pod) => {
    const container = await cri.start(pod, {}, ['/fixtures/act', 'hello', 'socket'])
    t.same(
      await cri.end(container),
      { exitCode: 0, output: 'hello: ok\nsocket: ok' },
      'without annotations nothing changes',
    )
  })

  // On the container alone: the pod has none.
  await cri.withPod(HANDLER, {}, async (pod) => {
    const container = await cri.start(pod, annotations('learn'), ['/fixtures/act', 'hello'])
    t.same(await cri.end(container), { exitCode: 0, output: 'hello: ok' })
  })
  const policy = await sandbox.policy()
  t.match(policy, { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  t.equal(policy.runs.length, 1)

  // On the pod: it reaches the pause container as well, which makes calls that were never learned, and must not be touched.
  await cri.withPod(HANDLER, annotations('enforce'), async (pod) => {
    const container = await cri.start(pod, {}, ['/fixtures/act', 'hello', 'socket', 'exit', '5'])
    t.same(await cri.end(container), { exitCode: 5, output: 'hello: ok\nsocket: Operation not permitted' })
    await t.rejects(cri.start(pod, { 'io.sandbox.policy': 'absent' }, ['/fixtures/act', 'hello']), {
      message: /there is no policy absent/,
    })
  })

  // Without a name the policy is that of the image. What is executed in a container is learned, or filtered, with it.
  const program = ['/fixtures/act', 'pause']
  await cri.withPod(HANDLER, { 'io.sandbox.mode': 'learn' }, async (pod) => {
    const { id } = await cri.start(pod, {}, program)
    const learned = await cri.exec(id, ['/fixtures/act', 'hello', 'exit', '4'])
    t.same(learned, { exitCode: 4, output: 'hello: ok\n' })
  })
  const named = await sandbox.policy(policyNameOfImage(IMAGE))
  t.match(named.runs, [{ image: { name: IMAGE } }, { image: { name: IMAGE } }])
  await cri.withPod(HANDLER, { 'io.sandbox.mode': 'enforce' }, async (pod) => {
    const { id } = await cri.start(pod, {}, program)
    const output = 'hello: ok\nsocket: Operation not permitted\n'
    t.same(await cri.exec(id, ['/fixtures/act', 'hello', 'socket', 'exit', '4']), { exitCode: 4, output })
  })
  t.same(sandbox.kept(), [])
})
