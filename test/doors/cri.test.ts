/** containerd's CRI, the way that Kubernetes takes: a runtime handler whose binary is oci-sandbox-runtime. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { policyNameOfImage } from '../../src/policy/name.ts'
import { startContainerd } from '../lib/containerd.ts'
import { Cri, decode, type Message, map } from '../lib/cri.ts'
import { until } from '../lib/events.ts'
import { IMAGE, makeImage } from '../lib/image.ts'
import { namesOf, Sandbox } from '../lib/sandbox.ts'

/** NamespaceMode NODE: the host's network, as there is no CNI plugin. */
const NODE = 2
/** ContainerState. */
const [RUNNING, EXITED] = [1, 2]

test('a pod: learned, enforced, refused; the pause container is left alone', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { socket, ctr } = await startContainerd(t, sandbox, { cri: true })
  const imported = await ctr(
    '--namespace',
    'k8s.io',
    'images',
    'import',
    '--snapshotter',
    'native',
    await makeImage(sandbox),
  )
  t.match(imported, { exitCode: 0 })
  const cri = new Cri(socket)
  t.teardown(() => cri.close())
  const text = (value: number | Buffer | undefined) => String(value ?? '')
  let count = 0

  /** A pod with one container, which has annotations of its own; `work` gets the container's id. Returns its exit code and output. */
  const pod = async (
    annotations: { pod?: Record<string, string>; container?: Record<string, string> },
    command: string[],
    /** What is done while the container runs; it is stopped afterwards. */
    work?: (id: string) => Promise<void>,
  ) => {
    const name = `pod-${++count}`
    const logs = join(sandbox.directory, name)
    mkdirSync(logs)
    const config: Message = {
      1: { 1: name, 2: name, 3: 'test' },
      3: logs,
      7: map(annotations.pod ?? {}),
      8: { 2: { 1: { 1: NODE, 2: 1 } } },
    }
    const podId = text((await cri.call('RunPodSandbox', { 1: config, 2: 'sandbox' })).get(1))
    try {
      const container: Message = {
        1: { 1: 'main' },
        2: { 1: IMAGE },
        3: command,
        10: map(annotations.container ?? {}),
        11: 'log',
      }
      const id = text((await cri.call('CreateContainer', { 1: podId, 2: container, 3: config })).get(1))
      await cri.call('StartContainer', { 1: id })
      const status = async () => decode((await cri.call('ContainerStatus', { 1: id })).get(1) as Buffer)
      await until('the container has run', async () =>
        [RUNNING, EXITED].includes(((await status()).get(3) as number) ?? 0),
      )
      if (work !== undefined) {
        await work(id)
        await cri.call('StopContainer', { 1: id })
      }
      await until('the container has ended', async () => (await status()).get(3) === EXITED)
      const log = join(logs, 'log')
      const output = existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : []
      // TIME stdout F TEXT
      return {
        exitCode: (await status()).get(7) ?? 0,
        output: output.map((line) => line.split(' ').slice(3).join(' ')),
      }
    } finally {
      await cri.call('StopPodSandbox', { 1: podId })
      await cri.call('RemovePodSandbox', { 1: podId })
    }
  }
  const mode = (value: string) => ({ 'io.sandbox.mode': value, 'io.sandbox.policy': 'test' })

  t.same(await pod({}, ['/act', 'hello', 'socket']), { exitCode: 0, output: ['hello: ok', 'socket: ok'] })
  t.same(await pod({ container: mode('learn') }, ['/act', 'hello', 'exit', '3']), {
    exitCode: 3,
    output: ['hello: ok'],
  })
  const policy = await sandbox.policy()
  t.match(policy, { complete: true, runs: [{ program: { path: '/act' }, image: { name: IMAGE } }] })
  t.notOk(namesOf(policy).includes('execve'))
  t.same(await pod({ pod: mode('enforce') }, ['/act', 'hello', 'socket']), {
    exitCode: 0,
    output: ['hello: ok', 'socket: Operation not permitted'],
  })
  await t.rejects(
    pod({ pod: { ...mode('enforce'), 'io.sandbox.policy': 'absent' } }, ['/act', 'hello']),
    /there is no policy absent/,
  )

  // Without a name the policy is that of the image. What is executed in a container is learned, or filtered, with it.
  const execute = async (id: string, ...command: string[]) => {
    const answer = await cri.call('ExecSync', { 1: id, 2: command, 3: 20 })
    return { exitCode: answer.get(3) ?? 0, output: text(answer.get(1)) }
  }
  await pod({ pod: { 'io.sandbox.mode': 'learn' } }, ['/pause'], async (id) => {
    t.same(await execute(id, '/act', 'hello', 'exit', '4'), { exitCode: 4, output: 'hello: ok\n' })
  })
  await pod({ pod: { 'io.sandbox.mode': 'enforce' } }, ['/pause'], async (id) => {
    const output = 'hello: ok\nsocket: Operation not permitted\n'
    t.same(await execute(id, '/act', 'hello', 'socket', 'exit', '4'), { exitCode: 4, output })
  })
  t.same(
    namesOf(await sandbox.policy(policyNameOfImage(IMAGE))).filter((name) => ['pause', 'write'].includes(name)),
    ['pause', 'write'],
  )
  t.same(sandbox.kept(), [])
  t.notOk(namesOf(policy).includes('pause'), 'nothing was learned of the pause container')
})
