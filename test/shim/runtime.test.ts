/** oci-sandbox-runtime: which command line does what, and what the runtime gets of the process that it becomes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { FLAG_OPTIONS, OWN_OPTIONS, PASSED, TELLING_OPTIONS, VALUE_OPTIONS } from '../../src/shim/options.ts'
import { argsOf, fakeRuntime, start } from '../lib/fake-runtime.ts'
import { SHIM } from '../lib/sandbox.ts'

test('every option in each spelling, before every subcommand', async (t) => {
  const { directory, config, seen } = fakeRuntime(t)
  const rest = ['--bundle', join(directory, 'bundle'), 'id']
  // "state" as a value: taken for the subcommand by who does not know the option.
  const globals = [
    ...VALUE_OPTIONS.flatMap((name) => [[`--${name}`, 'state'], [`--${name}=state`], [`-${name}`, 'state']]),
    ...FLAG_OPTIONS.map((name) => [`--${name}`]),
    ['-r', 'state'],
    ['-s'],
    ['--root', "it's $(odd)\n`x`"],
  ]
  for (const subcommand of ['create', 'state', 'kill']) {
    for (const options of subcommand === 'create' ? globals : globals.slice(0, 8)) {
      const line = [...options, subcommand, ...rest]
      const { exitCode, stdout, stderr } = await start(['--config', config, ...line], { cwd: directory })
      t.match({ exitCode, stdout, stderr }, { exitCode: 7, stdout: '', stderr: '' }, line.join(' '))
      t.same(
        argsOf(seen()),
        line.map((word) => word.replaceAll('\n', '|')),
      )
    }
  }
  rmSync(join(directory, 'state'), { force: true })
})

test('every subcommand is passed on, before and after the runtime is remembered', async (t) => {
  const { directory, config, runtime, seen } = fakeRuntime(t)
  for (const own of [
    ['--config', config],
    [`--config=${config}`, '--mode', 'learn', '--policy=p'],
  ]) {
    for (const subcommand of PASSED) {
      t.equal((await start([...own, subcommand, 'a b'])).exitCode, 7, subcommand)
      t.same(argsOf(seen()), [subcommand, 'a b'])
    }
    for (const option of ['-h', '-v', '-?', ...TELLING_OPTIONS.map((name) => `--${name}`)]) {
      t.equal((await start([...own, option])).exitCode, 7, option)
      t.same(argsOf(seen()), [option])
    }
  }
  // podman's --runtime-flag comes behind its own.
  t.equal((await start(['--log-format=json', `--config=${config}`, '--root', 'x', 'state', 'id'])).exitCode, 7)
  t.same(argsOf(seen()), ['--log-format=json', '--root', 'x', 'state', 'id'])
  // What is remembered is believed as long as the configuration is the same.
  const other = join(directory, 'other')
  copyFileSync(runtime, other)
  writeFileSync(config, JSON.stringify({ store: join(directory, 'store'), runtime: other }))
  t.equal((await start(['--config', config, 'state', 'x'])).exitCode, 7)
  t.equal(seen(), undefined)
  t.ok(existsSync(`${other}.seen`))
  rmSync(other)
  t.match(await start(['--config', config, 'state', 'x']), { exitCode: 1, stderr: /RUNTIME_FAILED/ })
})

test('what is not known starts nothing, and says so where the caller looks', async (t) => {
  const { directory, config, seen } = fakeRuntime(t)
  const log = join(directory, 'log.json')
  const lines: [string[], RegExp][] = [
    [['--unknown', 'x', 'create', 'id'], /option --unknown before the subcommand is not known/],
    [['--unknown', 'state', 'id'], /option --unknown before/],
    [['conjure', 'id'], /subcommand "conjure" is not known/],
    [['create', '--conjure', 'id'], /option --conjure of create is not known/],
    [['exec', '--conjure', 'id', 'sh'], /option --conjure of exec is not known/],
    [['create', '--bundle', join(directory, 'absent'), 'id'], /BUNDLE_INVALID/],
    [['create', '--bundle'], /create --bundle: expected a value/],
    // What Go's flags and getopt(3) read in two ways, so that the container that starts would not be the one that was looked at.
    [['run', '-b=bundle', 'id'], /option -b=bundle of run: write --NAME VALUE or -N VALUE/],
    [['run', '-bundle', 'bundle', 'id'], /option -bundle of run: write/],
    [['run', '-bundle=bundle', 'id'], /option -bundle=bundle of run: write/],
    [['create', '-dt', 'id'], /option -dt of create: write/],
    [['run', '--help=false', 'id'], /option --help=false of run: it takes no value/],
    [['run', 'id', '-h=0'], /option -h=0 of run: write/],
    [['exec', '--help=false', 'id', 'sh'], /option --help=false of exec: it takes no value/],
    [['restore', '--help=0', 'id'], /option --help=0 of restore: it takes no value/],
    [['run', '--', '--absent'], /BUNDLE_INVALID/],
    [['run'], /run: expected the container's id/],
    [['exec', '--tty'], /exec: expected the container's id/],
    [['restore', '--'], /restore: expected the container's id/],
    [['create', '--bundle', `${directory}/\xff`, 'id'], /BUNDLE_INVALID/],
    [['--root'], /--root: expected a value/],
  ]
  for (const [line, problem] of lines) {
    const result = await start(['--config', config, '--log', log, '--log-format', 'json', ...line])
    t.match(result, { exitCode: 1, stdout: '', stderr: problem }, line.join(' '))
    t.match(JSON.parse(readFileSync(log, 'utf8')), { level: 'error', msg: problem })
    t.notMatch(result.stderr, /no such file or directory/i, 'podman would take that for exit code 127')
    t.equal(seen(), undefined)
    rmSync(log)
  }
  for (const name of OWN_OPTIONS.filter((name) => name !== 'config')) {
    const result = await start(['--config', config, `--${name}=*`, 'create', 'id'])
    t.match(result, { exitCode: 1, stdout: '', stderr: /\[USAGE\]/ }, name)
  }
  t.match(await start(['--config', join(directory, 'absent'), 'state', 'id']), {
    exitCode: 1,
    stderr: /HOST_CONFIG_INVALID/,
  })
  t.equal(seen(), undefined)
})

test('the runtime is the same process, with all that it was given', async (t) => {
  const { directory, config, seen } = fakeRuntime(t)
  const line = ['--config', config, 'create', '--bundle', join(directory, 'bundle'), 'id']
  // SIGPIPE (13) and SIGUSR1 (10) ignored, a low limit, descriptors 3 and 5, a signal at the parent's death (as containerd sets it).
  const prepare = `trap '' PIPE USR1; ulimit -Sn 999; exec 3</dev/null 5</dev/null; exec setpriv --pdeathsig KILL "$@"`
  for (const subcommand of ['create', 'state']) {
    const args = [...line.slice(0, 2), subcommand, ...line.slice(3)]
    const child = spawn('/bin/sh', ['-c', prepare, 'sh', SHIM, ...args], { stdio: 'ignore', env: { A: 'b', log: 'x' } })
    t.same(await once(child, 'exit'), [7, null])
    const lines = seen() ?? []
    t.ok(lines.includes(`pid ${child.pid}`), 'the same process id')
    t.same(
      lines.filter((one) => one.startsWith('ignored')),
      ['ignored 10', 'ignored 13'],
    )
    t.same(
      lines.filter((one) => one.startsWith('fd')),
      ['fd 0', 'fd 1', 'fd 2', 'fd 3', 'fd 5'],
    )
    t.match(
      lines.find((one) => one.startsWith('nofile')),
      /^nofile 999 /,
    )
    t.ok(lines.includes('pdeathsig 9'))
    const variables = lines.filter((one) => /^env (A|log|s_\w*|OLDPWD|SHLVL|_)=/.test(one))
    t.same(variables.sort(), ['env A=b', 'env log=x'], "none changed, none of the script's own")
  }
})

test('no environment changes what it does', async (t) => {
  const { directory, config, seen } = fakeRuntime(t)
  writeFileSync(join(directory, 'preload.js'), `require('fs').writeFileSync('${directory}/ran', '')\n`)
  writeFileSync(join(directory, 'bundle/bunfig.toml'), `preload = ["${directory}/preload.js"]\n`)
  writeFileSync(join(directory, 'bundle/.env'), 'BUN_OPTIONS=--version\n')
  const env = {
    PATH: directory,
    IFS: 'aeiou/=',
    NODE_OPTIONS: `--require ${directory}/preload.js`,
    BUN_OPTIONS: `--preload ${directory}/preload.js`,
    BUN_BE_BUN: '1',
    BUN_JSC_useJIT: '1',
  }
  const options = { env, extendEnv: false, reject: false, stdin: 'ignore', cwd: join(directory, 'bundle') } as const
  for (const [line, code] of [
    [['create', '--bundle', join(directory, 'bundle'), 'id'], 7],
    [['state', 'id'], 7],
    [['--unknown', 'create', 'id'], 1],
  ] as const) {
    const result = await execa(SHIM, ['--config', config, ...line], options)
    t.equal(result.exitCode, code, `${line.join(' ')} ${result.stderr}`)
    t.same(argsOf(seen()), code === 7 ? line : undefined)
    t.notOk(existsSync(join(directory, 'ran')))
  }
})

test('without the program, or with one that does nothing, it starts nothing', async (t) => {
  const { directory, config, seen } = fakeRuntime(t)
  const copy = join(directory, 'oci-sandbox-runtime')
  copyFileSync(SHIM, copy)
  chmodSync(copy, 0o755)
  const log = join(directory, 'log')
  const line = ['--config', config, '--log', log, 'create', '--bundle', join(directory, 'bundle'), 'id']
  const options = { reject: false, stdin: 'ignore', env: {}, extendEnv: false } as const
  t.match(await execa(copy, line, options), { exitCode: 1, stdout: '', stderr: /\(it is not there\).*\[INTERNAL\]$/ })
  t.match(JSON.parse(readFileSync(log, 'utf8')), { level: 'error', msg: /it is not there/ })
  for (const [program, code] of [
    ['/bin/true', 0],
    ['/bin/false', 1],
  ] as const) {
    copyFileSync(program, join(directory, 'oci-sandbox'))
    t.match(await execa(copy, line, options), { exitCode: 1, stdout: '', stderr: new RegExp(`exit code ${code}\\)`) })
  }
  t.equal(seen(), undefined)
})

test('it does not become itself', async (t) => {
  const { directory, config } = fakeRuntime(t)
  writeFileSync(config, JSON.stringify({ runtime: SHIM }))
  t.match(await start(['--config', config, 'state', 'id']), { exitCode: 1, stderr: /is oci-sandbox-runtime itself/ })
  symlinkSync(SHIM, join(directory, 'runc'))
  writeFileSync(config, JSON.stringify({ runtime: join(directory, 'runc') }))
  t.match(await start(['--config', config, 'state', 'id']), { exitCode: 1, stderr: /is oci-sandbox-runtime itself/ })
})
