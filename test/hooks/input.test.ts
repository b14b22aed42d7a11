/** What hooks read from standard input and their command line: whatever it is, one line says what is wrong and nothing starts. */
import { execa } from 'execa'
import { test } from 'tap'
import { OCI_SANDBOX, Sandbox, TRACER } from '../lib/sandbox.ts'

async function hook(sandbox: Sandbox, args: readonly string[], input: string) {
  return await execa(OCI_SANDBOX, ['hook', ...args, '--config', sandbox.config], {
    input,
    reject: false,
    extendEnv: false,
    env: {},
  })
}

const state = {
  ociVersion: '1.0.2',
  id: 'c1',
  status: 'creating',
  pid: 4_194_303,
  bundle: '/nonexistent',
  annotations: { 'io.sandbox.mode': 'learn', 'io.sandbox.policy': 'test' },
}

test('states that are no states', async (t) => {
  const sandbox = await Sandbox.create(t)
  const cases: [input: string, message: RegExp][] = [
    ['', /standard input: expected a value, found the end of the text/],
    ['{"id":', /found the end of the text/],
    ['[]', /expected a JSON object/],
    ['{"id":"a","id":"b"}', /duplicate key "id"/],
    [JSON.stringify({ ...state, pid: undefined }), /without a pid; put this hook into createRuntime or prestart/],
    [JSON.stringify({ ...state, pid: 1 }), /with pid 1; put this hook into/],
    [JSON.stringify({ ...state, status: 'running' }), /the container is running/],
    [JSON.stringify({ ...state, bundle: 'x' }), /\/bundle: expected an absolute path/],
  ]
  for (const [input, message] of cases) {
    for (const name of ['learn', 'enforce']) {
      const mode = input.replace('"io.sandbox.mode":"learn"', `"io.sandbox.mode":"${name}"`)
      const { exitCode, stdout, stderr } = await hook(sandbox, [name], mode)
      t.match({ exitCode, stdout }, { exitCode: 1, stdout: '' }, `${name}: ${input}`)
      t.match(stderr, /^oci-sandbox: [^\n]+ \[STATE_INVALID\]$/, 'one line with its code')
      t.match(stderr, message)
    }
  }
})

test('a process that is not there', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { exitCode, stderr } = await hook(sandbox, ['learn'], JSON.stringify(state))
  t.equal(exitCode, 1)
  t.match(stderr, /^oci-sandbox: learn: cannot .* pid 4194303: No such process/)
  t.notMatch((await sandbox.cli('policy', 'list')).stdout, /test .*run/, 'nothing is left of it')
})

test('a bundle that is missing', async (t) => {
  const sandbox = await Sandbox.create(t)
  const enforce = { ...state, annotations: { ...state.annotations, 'io.sandbox.mode': 'enforce' } }
  const { exitCode, stderr } = await hook(sandbox, ['learn'], JSON.stringify(enforce))
  t.equal(exitCode, 1)
  t.match(stderr, /cannot read the bundle's configuration \/nonexistent\/config\.json: .* \[BUNDLE_INVALID\]/)
})

test('a container without annotations of ours passes, whatever else is wrong with it', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (const name of ['learn', 'enforce']) {
    t.match(await hook(sandbox, [name], JSON.stringify({ ...state, pid: undefined, annotations: {} })), {
      exitCode: 0,
      stdout: '',
      stderr: '',
    })
  }
})

test('command lines', async (t) => {
  const sandbox = await Sandbox.create(t)
  // What the helper itself adds: the program then tells what is to be done, and somebody has to do it.
  for (const args of [
    ['enforce', '--answer'],
    ['precreate', '--config', sandbox.config, '--answer'],
  ])
    t.match(await execa(TRACER, ['hook', ...args], { input: '{}', reject: false }), {
      ...{ exitCode: 2, stdout: '', stderr: /--answer is not for hooks: nothing would be done/ },
    })
  for (const args of [[], ['unlearn'], ['learn', 'enforce'], ['learn', '--verbose'], ['--config', 'x', 'unlearn']]) {
    const { exitCode, stderr } = await hook(sandbox, args, JSON.stringify(state))
    t.equal(exitCode, 1, args.join(' '))
    t.match(stderr, /usage: oci-sandbox hook learn\|enforce\|precreate \[--config FILE\] \[USAGE\]/)
  }
})
