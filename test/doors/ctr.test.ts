/** containerd's own client, with the shim as its runtime. */
import { test } from 'tap'
import { Containerd } from '../engines/containerd.ts'
import { needs } from '../lib/needs.ts'
import { Sandbox } from '../lib/sandbox.ts'

const annotations = (mode: string) => ({ 'io.sandbox.mode': mode, 'io.sandbox.policy': 'test' })

test('ctr run --runc-binary: learn, enforce, refuse, exec', needs('containerd'), async (t) => {
  const sandbox = await Sandbox.create(t)
  const containerd = await Containerd.start(t, sandbox, sandbox.runtime())
  // containerd's runtime keeps the containers of all engines of the machine in one directory: their ids must differ.
  const run = (id: string, more: Readonly<Record<string, string>>, ...command: string[]) =>
    containerd.run(`${id}-${process.pid}`, more, ...command)
  const plain = await run('plain', {}, '/fixtures/act', 'hello', 'socket')
  t.match(plain, { exitCode: 0, stdout: 'hello: ok\nsocket: ok' }, 'without annotations nothing changes')
  const learn = await run('learn', annotations('learn'), '/fixtures/act', 'hello')
  t.match(learn, { exitCode: 0, stdout: 'hello: ok', stderr: '' })
  t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  const enforce = await run('enforce', annotations('enforce'), '/fixtures/act', 'hello', 'socket')
  t.match(enforce, { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted', stderr: '' })
  const wrong = await run('wrong', { 'io.sandbox.mode': 'enforec' }, '/fixtures/act', 'hello')
  t.not(wrong.exitCode, 0)
  t.match(wrong.stderr, /io\.sandbox\.mode=\\?"enforec\\?": expected learn or enforce/)
  t.equal((await run('code', annotations('enforce'), '/fixtures/act', 'hello', 'exit', '7')).exitCode, 7)
})
