// Files and endpoints as strace reports them, of the same programs in the same kind of container: an independent recorder.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { TRACER_PATHS } from '../../src/generated/tracer-paths.ts'
import { type BundleOptions, eventsOf, finishedLines, type Line, learnHookWith, makeBundle, run } from './harness.ts'

const PYTHON = `
import os, socket
listener = socket.create_server(('127.0.0.1', 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b'x', ('127.0.0.1', 9))
udp.sendmsg([b'x'], [], 0, ('127.0.0.1', 10))
tcp = socket.socket(); tcp.setblocking(False)
tcp.connect_ex(('127.0.0.1', 1))
server = socket.socket(socket.AF_UNIX); server.bind('/tmp/w/sock'); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect('/tmp/w/sock')
lost = socket.socket(socket.AF_UNIX); lost.connect_ex('\\0nobody')
try:
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.bind(('::1', 0)); six.sendto(b'x', ('::1', 11))
except OSError: pass
os.rename('/tmp/w/sock', '/tmp/w/socket'); os.utime('/tmp/w/a'); os.truncate('/tmp/w/a', 1)
os.chmod('/tmp/w', 0o700, dir_fd=None)
fd = os.open('/tmp/w', os.O_RDONLY)
os.mkdir('by-fd', dir_fd=fd); os.rmdir('by-fd', dir_fd=fd); os.link('a', 'a2', src_dir_fd=fd, dst_dir_fd=fd); os.fchmod(fd, 0o755)
`

const SCRIPT = `
mkdir -p /tmp/w/deep/er; echo a >/tmp/w/a; cp /tmp/w/a /tmp/w/b; mv /tmp/w/b /tmp/w/c; ln /tmp/w/c /tmp/w/d; ln -s c /tmp/w/e
cat /tmp/w/e /nowhere; chmod 600 /tmp/w/c; touch -d 2020-01-01 /tmp/w/c; rmdir /tmp/w; chown 0:0 /tmp/w/d
env -C /tmp/w/deep sh -c 'echo x >here; cat here >er/there; ls er'
tar cf /tmp/w/tar -C /tmp/w deep; mkdir /tmp/w/out; tar xf /tmp/w/tar -C /tmp/w/out; find /tmp/w -name there; cp -a /tmp/w/out /tmp/w/copy
printf '#!/usr/bin/cat\\n' >/tmp/w/script; chmod 755 /tmp/w/script; /tmp/w/script; /tmp/w/none
/usr/bin/python3 -S -E -B /tmp/program.py; mknod /tmp/w/fifo p; rm -r /tmp/w
`

type Facts = Set<string>

/** The arguments of a call as strace writes them: at the commas that stand in no string, structure or description of a descriptor. */
function split(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string
    if (character === '"') {
      const end = text.slice(i + 1).match(/^(\\.|[^"\\])*"/)?.[0] ?? ''
      part += character + end
      i += end.length
      continue
    }
    if ('{[<('.includes(character)) depth++
    else if ('}])>'.includes(character)) depth--
    if (character === ',' && depth === 0) {
      parts.push(part.trim())
      part = ''
    } else part += character
  }
  return [...parts, part.trim()]
}

const unquoted = (text: string): string | undefined => text.match(/^"((\\.|[^"\\])*)"$/)?.[1]
const ofDescriptor = (text: string): string => text.match(/^(?:AT_FDCWD|\d+)<(.*)>$/)?.[1] ?? '/'

/** What a path means, in the directory that strace says. */
function named(path: string | undefined, directory = '/'): string | undefined {
  if (path === undefined) return undefined
  const whole = path.startsWith('/') ? path : `${directory}/${path}`
  const plain = whole.split('/').filter((part) => part !== '' && part !== '.')
  return `/${plain.join('/')}`.replace(/^\/proc\/\d+/, '/proc/PID')
}

function accessOfOpen(flags: string): string[] {
  if (flags.includes('O_PATH')) return ['locate']
  return [
    ...(/O_RDONLY|O_RDWR/.test(flags) ? ['read'] : []),
    ...(/O_WRONLY|O_RDWR|O_TRUNC/.test(flags) ? ['write'] : []),
    ...(flags.includes('O_CREAT') ? ['create'] : []),
  ]
}

/** Access and path of each call that names a file. */
function filesOfCall(name: string, args: string[], directory: string): [string, string | undefined][] {
  const path = (index: number) => named(unquoted(args[index] ?? ''), directory)
  const at = (index: number) => named(unquoted(args[index + 1] ?? ''), ofDescriptor(args[index] ?? ''))
  switch (name) {
    case 'open':
      return accessOfOpen(args[1] ?? '').map((access) => [access, path(0)])
    case 'openat':
      return accessOfOpen(args[2] ?? '').map((access) => [access, at(0)])
    case 'creat':
      return [
        ['write', path(0)],
        ['create', path(0)],
      ]
    case 'mkdir':
    case 'mknod':
      return [['create', path(0)]]
    case 'mkdirat':
    case 'mknodat':
      return [['create', at(0)]]
    case 'symlink':
      return [['create', path(1)]]
    case 'symlinkat':
      return [['create', at(1)]]
    case 'unlink':
    case 'rmdir':
      return [['remove', path(0)]]
    case 'unlinkat':
      return [['remove', at(0)]]
    case 'rename':
      return [
        ['remove', path(0)],
        ['create', path(1)],
      ]
    case 'renameat':
    case 'renameat2':
      return [
        ['remove', at(0)],
        ['create', at(2)],
      ]
    case 'link':
      return [
        ['change', path(0)],
        ['create', path(1)],
      ]
    case 'linkat':
      return [
        ['change', at(0)],
        ['create', at(2)],
      ]
    case 'truncate':
      return [['write', path(0)]]
    case 'execve':
      return [['execute', path(0)]]
    case 'fchmod':
    case 'fchown':
    case 'fsetxattr':
      return [['change', ofDescriptor(args[0] ?? '')]]
    case 'utimensat':
      return [['change', args[1] === 'NULL' ? ofDescriptor(args[0] ?? '') : at(0)]]
    case 'fchmodat':
    case 'fchownat':
      return [['change', at(0)]]
    case 'chmod':
    case 'chown':
    case 'lchown':
    case 'setxattr':
    case 'lsetxattr':
      return [['change', path(0)]]
    default:
      return []
  }
}

const KINDS: Record<string, string> = { bind: 'bind', connect: 'connect', sendto: 'send', sendmsg: 'send' }

function endpointOfCall(name: string, rest: string): string | undefined {
  const kind = KINDS[name]
  const unix = rest.match(/sun_path=(@?)"([^"]*)"/)
  const inet = rest.match(/sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]*)"\)/)
  const inet6 = rest.match(/sin6_port=htons\((\d+)\).*inet_pton\(AF_INET6, "([^"]*)"/)
  if (kind === undefined) return undefined
  if (unix) return `${kind} ${unix[1] ? 'abstract' : 'unix'} ${unix[2]}`
  if (inet) return `${kind} inet ${inet[2]} ${inet[1]}`
  return inet6 ? `${kind} inet6 ${inet6[2]} ${inet6[1]}` : undefined
}

function factsOfStrace(text: string): Facts {
  const facts: Facts = new Set()
  const begun = new Map<string, string>()
  const directories = new Map<string, string>() // of processes that change it; nobody here does so before it forks
  let first = true
  for (const line of text.split('\n')) {
    const [, pid = '', rest = ''] = line.match(/^(\d+)\s+(.*)$/) ?? []
    const unfinished = rest.match(/^(.*) <unfinished \.\.\.>$/)
    if (unfinished) {
      begun.set(pid, unfinished[1] as string)
      continue
    }
    const resumed = rest.match(/^<\.\.\. \w+ resumed>(.*)$/)
    const whole = resumed ? `${begun.get(pid)}${resumed[1]}` : rest
    const [, name = '', args = '', result = ''] = whole.match(/^(\w+)\((.*)\)\s+= (.*)$/) ?? []
    const start = name === 'execve' && first // the container's start is no fact
    if (name === 'execve') first = false
    if (start) continue
    const outcome = /^-1/.test(result) ? 'failed' : 'ok'
    const directory = directories.get(pid) ?? '/'
    if (name === 'chdir' && outcome === 'ok') directories.set(pid, named(unquoted(args), directory) ?? '')
    if (name === 'fchdir' && outcome === 'ok') directories.set(pid, ofDescriptor(args))
    for (const [access, path] of filesOfCall(name, split(args), directory))
      if (path?.startsWith('/')) facts.add(`${access} ${path.replace(/\(deleted\)$/, '')} ${outcome}`)
    const endpoint = endpointOfCall(name, args)
    if (endpoint) facts.add(`${endpoint} ${result.includes('EINPROGRESS') ? 'under way' : outcome}`)
  }
  return facts
}

function factsOfLines(lines: Line[]): Facts {
  const outcome = (ok: boolean | null) => (ok === null ? 'under way' : ok ? 'ok' : 'failed')
  return new Set([
    ...eventsOf(lines, 'file').flatMap(({ access, path, ok }) =>
      access.map((one: string) => `${one} ${path} ${outcome(ok)}`),
    ),
    ...eventsOf(lines, 'endpoint').map(({ kind, family, path, name, address, port, ok }) =>
      [kind, family, path ?? name ?? `${address} ${port}`, outcome(ok)].join(' '),
    ),
  ])
}

const PROGRAMS = { args: ['/bin/busybox', 'env', 'PATH=/usr/bin:/bin', '/usr/bin/sh', '-c', SCRIPT] }
const capabilities = ['CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE', 'CAP_MKNOD', 'CAP_SYS_PTRACE']

const runIn = async (t: Parameters<typeof makeBundle>[0], options: BundleOptions) => {
  const bundle = await makeBundle(t, { capabilities, ...options })
  await writeFile(join(bundle.rootfs, 'tmp/program.py'), PYTHON)
  const { exitCode, stdout, stderr } = await run(bundle)
  return { bundle, behaviour: { exitCode, stdout, stderr } }
}

t.test('real programs: the same facts as strace, with ptrace and with eBPF', async (t) => {
  const strace = ['/usr/bin/strace', '-f', '-y', '-s', '4096', '-o', '/tmp/strace']
  const theirs = await runIn(t, { args: [...strace, ...PROGRAMS.args] })
  const expected = [...factsOfStrace(await readFile(join(theirs.bundle.rootfs, 'tmp/strace'), 'utf8'))].sort()
  t.ok(expected.length > 150, `${expected.length} facts`)
  t.ok(expected.some((fact) => fact === 'send inet 127.0.0.1 10 ok'))
  for (const backend of ['ptrace-syscall', 'ebpf']) {
    const hook = [...learnHookWith(backend), '--paths', String(TRACER_PATHS.x64)]
    const { bundle, behaviour } = await runIn(t, { ...PROGRAMS, hook })
    t.same(behaviour, theirs.behaviour, backend)
    t.same([...factsOfLines(await finishedLines(bundle.output))].sort(), expected, backend)
  }
})
