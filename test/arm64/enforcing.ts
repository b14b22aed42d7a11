/** Enforcing on arm64. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import type { Boot, Step } from './machine.ts'
import { type Programs, policyOf, stepOf } from './programs.ts'

const cli = join(import.meta.dirname, '../../dist/oci-sandbox')

/** Programs that need a call, or a file of their own, that depends on chance. */
const NOT_ENFORCED = ['refusing', 'tracing', 'stress', 'stop1']

const enforce = (way: string, options: string, program: string, filter: string): string[] =>
  `/bin/runtime ${options} /bin/${program} -- /bin/tracer enforce --pid PID --journal /tmp/output --filter /filters/${filter} ${way}`.split(
    ' ',
  )
const EARLY = '--install early'
const AT_EXEC = '--install exec --allow-no-new-privs'

async function compile(
  directory: string,
  policies: readonly PolicyDocument[],
  action: string,
): Promise<Record<string, Buffer>> {
  const filters: Record<string, Buffer> = {}
  for (const policy of policies) {
    const file = join(directory, `${policy.name}.json`)
    await writeFile(file, encodePolicy(policy))
    await execa(cli, ['compile', file, '-o', `${file}.bpf`, '--action', action, '--no-cache'])
    filters[`filters/${policy.name}`] = await readFile(`${file}.bpf`)
  }
  return filters
}

/** Compiles what was learned, and enforces it on the same programs. */
export async function testEnforcing(
  t: Test,
  programs: Programs,
  directory: string,
  boot: Boot,
  learned: Readonly<Record<string, Step>>,
): Promise<void> {
  const names = Object.keys(programs).filter((name) => !NOT_ENFORCED.includes(name))
  const step = (name: string): Step => stepOf(learned, `${name} syscall`)
  const policies = [
    ...names.map((name) => policyOf(name, step(name))),
    policyOf('no-getuid', step('asks'), 'getuid'),
    policyOf('no-getpid', step('arm'), 'getpid'),
  ]
  const filters = await compile(directory, policies, 'errno')
  const killing = await compile(directory, [policyOf('killing', step('exact'), 'getuid')], 'kill')
  const commands: Record<string, string[]> = {}
  for (const name of names) {
    commands[`${name} early`] = enforce(EARLY, '-', name, name)
    commands[`${name} exec`] = enforce(AT_EXEC, '-', name, name)
  }
  for (const options of ['s', 'v', 'sv']) commands[`waiting ${options}`] = enforce(EARLY, options, 'exact', 'exact')
  for (const [way, options] of [
    ['early', EARLY],
    ['exec', AT_EXEC],
  ] as const) {
    commands[`refused ${way}`] = enforce(options, '-', 'asks', 'no-getuid')
    commands[`refused 32-bit ${way}`] = enforce(options, '-', 'arm', 'no-getpid')
    commands[`other abi ${way}`] = enforce(options, '-', 'arm', 'exact')
    commands[`killing ${way}`] = enforce(options, '-', 'exact', 'killing')
    commands[`readback ${way}`] = enforce(options, 'r', 'asks', 'asks')
    commands[`killed ${way}`] = enforce(options, 'k', 'exact', 'exact')
  }
  commands['exec refused'] = enforce('--install exec', '-', 'exact', 'exact')
  const steps = await boot({ ...filters, ...killing }, commands)
  const text = (name: string): string => stepOf(steps, name).text

  t.test('a learned policy lets its program run', async (t) => {
    for (const name of names) {
      const { end } = programs[name] ?? { end: '' }
      for (const way of ['early', 'exec']) {
        t.ok(text(`${name} ${way}`).includes(`${end}\n`), `${name}, ${way}: ${end}`)
        t.match(text(`${name} ${way}`), /"event":"in-force"/)
      }
    }
    for (const options of ['s', 'v', 'sv']) t.ok(text(`waiting ${options}`).includes('exit 6\n'), options)
  })

  for (const way of ['early', 'exec']) {
    t.test(`${way}: refusals`, async (t) => {
      t.match(text(`refused ${way}`), /^-1 -38\n/, 'EPERM, and ENOSYS for what nobody knows')
      t.match(text(`asks ${way}`), /^0 -38\n/)
      t.match(text(`refused 32-bit ${way}`), /^arm\n.*exit 9\n/s)
      t.match(
        text(`other abi ${way}`),
        /^signal 4\n/,
        'of an ABI that the policy does not have not even exit_group passes',
      )
      t.match(text(`killing ${way}`), /^exact\nsignal 31\n/)
    })

    t.test(`${way}: what is installed is what was compiled`, async (t) => {
      const installed = JSON.parse(/^\{"index":0.*$/m.exec(text(`readback ${way}`))?.[0] ?? '{}')
      t.equal(installed.base64, filters['filters/asks']?.toString('base64'))
      t.match(text(`readback ${way}`), /exit 3\n/)
    })

    t.test(`${way}: kill -9 of the tracer before the program starts ends the container`, async (t) => {
      t.match(text(`killed ${way}`), /killed 1\n.*signal 9\n/s)
      t.notMatch(text(`killed ${way}`), /exact/)
    })
  }

  t.test('at exec, without permission to set NO_NEW_PRIVS: the program does not start', async (t) => {
    t.match(text('exec refused'), /signal 9\n.*"event":"killed"/s)
  })
}
