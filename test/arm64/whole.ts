/** The program itself on arm64: Bun's, as `make dist-arm64` builds it. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { busyboxOf, wholeProgram } from './build.ts'
import type { Boot } from './machine.ts'
import { stepOf } from './programs.ts'

/** Where gcc-aarch64-linux-gnu keeps glibc, which Bun's program is linked with. */
const LIBRARIES = '/usr/aarch64-linux-gnu/lib'
const NEEDED = ['ld-linux-aarch64.so.1', 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0']

export function testWholeProgram(t: Test, suite: string, boot: Boot): void {
  const skip = !existsSync(wholeProgram) && '`make dist-arm64` has not been made'
  t.test('the whole program, compiled for arm64', { skip }, async (t) => {
    const files: Record<string, Uint8Array> = {
      'bin/oci-sandbox': await readFile(wholeProgram),
      'bin/sh': await readFile(busyboxOf(suite)),
      'etc/config.json': Buffer.from(JSON.stringify({ store: '/tmp/store' })),
    }
    for (const name of NEEDED) files[`lib/${name}`] = await readFile(join(LIBRARIES, name))
    files['bin/oci-sandbox-tracer'] = await readFile(join(wholeProgram, '../oci-sandbox-tracer'))
    const cli = (...words: string[]) => ['/bin/oci-sandbox', ...words, '--config', '/etc/config.json']
    const learn = (name: string, detail: string, program: string) =>
      `/bin/oci-sandbox learn --config /etc/config.json --name ${name} --detail ${detail} -- ${program}`.split(' ')
    const steps = await boot(files, {
      version: ['/bin/oci-sandbox', '--version'],
      doctor: cli('doctor'),
      learn: learn('web', 'names', '/bin/exact'),
      arm: learn('web', 'args', '/bin/arm'),
      show: cli('policy', 'show', 'web', '--json'),
      allowed: cli('simulate', 'web', 'getuid'),
      refused: cli('simulate', 'web', 'socket'),
      compile: cli('compile', 'web', '-o', '/tmp/filter'),
      enforce: `/bin/runtime - /bin/exact -- /bin/tracer enforce --pid PID --filter /tmp/filter`.split(' '),
    })
    const step = (name: string) => stepOf(steps, name)

    t.match(step('version').text, /^oci-sandbox \d/)
    t.match(step('doctor').text, /^ok +learn: ptrace works$/m)
    t.equal(step('learn').status, 6 << 8, step('learn').text)
    t.equal(step('arm').status, 8 << 8, step('arm').text)
    const { architectures, runs } = JSON.parse(step('show').text)
    const names = (of: string) => architectures[of].syscalls.map(({ name }: { name: string }) => name)
    t.match(runs, [{ machine: 'aarch64' }, { machine: 'aarch64' }])
    t.same(names('aarch64'), ['exit_group', 'getpid', 'getuid', 'restart_syscall', 'rt_sigreturn', 'write'])
    t.same(names('arm'), ['exit_group', 'getpid', 'restart_syscall', 'rt_sigreturn', 'sigreturn', 'write'])
    t.match(step('allowed').text, /^ALLOW +aarch64 syscall 174/)
    t.match(step('refused').text, /^(?!ALLOW).* aarch64 syscall 198/)
    t.match(step('enforce').text, /^exact\nexit 6\n/)
  })
}
