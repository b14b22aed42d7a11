/** Nothing in the bundle or the environment changes what a hook does. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

/** Files that make Bun or Node run code when they start where these stand, and variables that do the same. */
function plant(directory: string, mark: string): Record<string, string> {
  const evil = join(directory, 'evil.cjs')
  writeFileSync(evil, `require('node:fs').writeFileSync(${JSON.stringify(mark)}, 'x'); process.exit(0)\n`)
  writeFileSync(
    join(directory, 'bunfig.toml'),
    `preload = [${JSON.stringify(evil)}]\n[run]\npreload = [${JSON.stringify(evil)}]\n`,
  )
  writeFileSync(join(directory, '.env'), `BUN_OPTIONS=--preload=${evil}\nNODE_OPTIONS=--require=${evil}\n`)
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ imports: { '#exec': evil, '#seccomp-wasm': evil } }))
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths: { '*': [evil] } } }))
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  for (const name of ['oci-sandbox', 'oci-sandbox-tracer', 'bun', 'node', 'runc', 'sh']) {
    writeFileSync(join(bin, name), `#!/bin/sh\n: >${mark}\nexit 0\n`, { mode: 0o755 })
  }
  return {
    BUN_OPTIONS: `--preload=${evil}`,
    BUN_BE_BUN: '1',
    BUN_INSPECT_PRELOAD: evil,
    BUN_INSPECT: 'unix:/nonexistent/oci-sandbox-test',
    BUN_BYTECODE_ORDER_OUT: mark,
    BUN_BYTECODE_ORDER_NAMES_OUT: mark,
    BUN_BYTECODE_DIGEST_OUT: mark,
    NODE_OPTIONS: `--require=${evil}`,
    NODE_PATH: directory,
    PATH: bin,
    HOME: directory,
    XDG_CONFIG_HOME: directory,
    BUN_INSTALL: directory,
    TMPDIR: directory,
  }
}

test('the plants are hostile: Bun itself runs what they name', async (t) => {
  const sandbox = await Sandbox.create(t)
  const mark = join(sandbox.directory, 'mark')
  const { BUN_OPTIONS } = plant(sandbox.directory, mark)
  const bun = join(import.meta.dirname, '../../node_modules/@oven/bun-linux-x64/bin/bun')
  await execa(bun, ['-e', '0'], { env: { BUN_OPTIONS: BUN_OPTIONS as string }, reject: false })
  t.ok(existsSync(mark))
})

for (const inherited of [false, true]) {
  test(`hooks ${inherited ? 'that inherit a hostile environment' : 'with an environment of their own'}, in a hostile bundle`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const mark = join(sandbox.directory, 'mark')
    const run = async (mode: 'learn' | 'enforce', ...args: string[]) => {
      const hook = sandbox.hook(mode)
      // Without "env" a hook has the environment of the runtime.
      const entry = inherited ? { path: hook.path, args: hook.args } : hook
      const hooks = { createRuntime: [entry], ...(mode === 'learn' ? { poststop: [entry] } : {}) }
      const bundle = sandbox.bundle({ mode, args: ['/fixtures/act', ...args], hooks })
      const environment = plant(bundle, mark)
      const { PATH, ...others } = environment
      // runc itself is found by its path; everything that it starts sees the hostile PATH.
      const options = { cwd: bundle, extendEnv: false, env: { ...others, PATH: PATH as string } }
      return await execa(
        '/usr/sbin/runc',
        ['--root', join(sandbox.directory, 'runc'), 'run', '--bundle', bundle, sandbox.newId()],
        {
          ...options,
          stdin: 'ignore',
          reject: false,
        },
      )
    }
    t.match(await run('learn', 'hello'), { exitCode: 0, stdout: 'hello: ok' })
    t.equal((await sandbox.policy()).complete, true, 'it learned')
    t.match(
      await run('enforce', 'hello', 'socket'),
      { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted' },
      'it enforced',
    )
    t.notOk(existsSync(mark), 'no planted code ran')
  })
}

test('the binary reads neither bunfig.toml nor .env where it stands, nor variables of Bun', async (t) => {
  const sandbox = await Sandbox.create(t)
  const mark = join(sandbox.directory, 'mark')
  const environment = plant(sandbox.directory, mark)
  for (const env of [{}, environment, ...Object.entries(environment).map(([key, value]) => ({ [key]: value }))]) {
    const result = await execa(OCI_SANDBOX, ['--version'], {
      cwd: sandbox.directory,
      env,
      extendEnv: false,
      reject: false,
    })
    t.match(result, { exitCode: 0, stdout: /^oci-sandbox \d/ }, JSON.stringify(Object.keys(env)))
  }
  t.notOk(existsSync(mark))
})
