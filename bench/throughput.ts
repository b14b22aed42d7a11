/** What learning leaves of a server's throughput: Redis and nginx in containers, under load, against themselves without us. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Container, Workspace } from './container.ts'
import { learned } from './sandbox.ts'
import { median, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 5
/** Measured loads of a server. */
const LOADS = 3
/** s of one load of nginx; requests of each kind, of one load of Redis. */
const SECONDS = 3
const REQUESTS = 100_000
const CLIENTS = 20

const NATIVE = 'native'
/** Backends, and the share of the throughput that is to be left. */
const GOALS: Readonly<Record<string, number>> = { ebpf: 0.85, 'ptrace-adaptive': 0.75 }

interface Server {
  readonly name: string
  container(workspace: Workspace, port: number): Container
  /** Requests per second. */
  load(port: number, share: number): number
}

const SERVERS: readonly Server[] = [
  {
    name: 'redis (SET and GET)',
    container: (_, port) => ({
      args: ['/usr/bin/redis-server', '--bind', '127.0.0.1', '--port', String(port), '--dir', '/tmp', '--save', ''],
      hostNetwork: true,
    }),
    load(port, share) {
      const options = [
        '-p',
        String(port),
        '-t',
        'set,get',
        '-n',
        String(REQUESTS * share),
        '-c',
        String(CLIENTS),
        '--csv',
      ]
      const stdout = execFileSync('redis-benchmark', options, { encoding: 'utf8' })
      const rates = [...stdout.matchAll(/^"(?:SET|GET)","([\d.]+)"/gm)].map(([, rate]) => Number(rate))
      if (rates.length !== 2) throw new Error(`redis-benchmark: SET and GET rates expected, found: ${stdout}`)
      return rates.length / rates.reduce((seconds, rate) => seconds + 1 / rate, 0)
    },
  },
  {
    name: 'nginx (a small answer)',
    container(workspace, port) {
      const folder = workspace.folder('nginx')
      writeFileSync(join(folder, 'nginx.conf'), nginxConfiguration(port))
      const args = ['/usr/sbin/nginx', '-e', 'stderr', '-c', '/nginx/nginx.conf']
      return { args, mounts: { '/nginx': folder }, hostNetwork: true }
    },
    load(port, share) {
      const options = ['-t', '1', '-c', String(CLIENTS), '-d', `${Math.max(1, Math.round(SECONDS * share))}s`]
      const stdout = execFileSync('wrk', [...options, `http://127.0.0.1:${port}/`], { encoding: 'utf8' })
      const rate = Number(/^Requests\/sec: +([\d.]+)/m.exec(stdout)?.[1])
      if (!(rate > 0) || /Non-2xx|Socket errors/.test(stdout))
        throw new Error(`wrk: a rate without errors expected, found: ${stdout}`)
      return rate
    },
  },
]

/** One process: what is measured is its calls, not how several share two processors with the load. */
function nginxConfiguration(port: number): string {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /tmp/${name};`)
  return `user root; daemon off; master_process off; pid /tmp/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; ${places.join(' ')}
  server { listen 127.0.0.1:${port}; location / { return 200 "hello\\n"; } }
}
`
}

export async function benchThroughput(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const rows: string[][] = []
  const verdicts: string[] = []
  for (const server of SERVERS) {
    const rates = new Map([NATIVE, ...Object.keys(GOALS)].map((mode) => [mode, [] as number[]]))
    for (let round = 0; round < rounds; round++) {
      for (const mode of shuffled([...rates.keys()])) rates.get(mode)?.push(await serve(workspace, server, mode))
    }
    const of = (mode: string) => rates.get(mode) ?? []
    const share = (mode: string) => median(of(mode).map((rate, round) => rate / (of(NATIVE)[round] as number)))
    for (const mode of rates.keys()) {
      rows.push([
        `${server.name}: ${mode}`,
        ...[0.5, 0.1, 0.9].map((part) => Math.round(quantile(of(mode), part)).toLocaleString('en')),
        mode === NATIVE ? '' : `${(100 * share(mode)).toFixed(0)} %`,
      ])
    }
    for (const [mode, goal] of Object.entries(GOALS)) {
      const kept = share(mode)
      verdicts.push(
        `${server.name}: with ${mode} ${(100 * kept).toFixed(0)} % of the throughput are left, the goal is ${100 * goal} %: ${kept >= goal ? 'met' : 'MISSED'}.`,
      )
    }
  }
  return {
    title: 'What learning leaves of a server',
    header: ['requests/s', 'median', 'p10', 'p90', 'of native, round by round'],
    rows,
    notes: [
      `${rounds} rounds, each with a new server for each way of watching, whose policy is new, too: the median of ${LOADS} loads by ${CLIENTS} clients on the loopback device, after one that is not measured.`,
      verdicts.join('\n'),
    ],
  }
}

/** A server from its start to its end. Returns requests per second. */
async function serve(workspace: Workspace, server: Server, mode: string): Promise<number> {
  const port = await freePort()
  const plain = server.container(workspace, port)
  const store = () => workspace.store(`throughput-${mode}`, { learn: { backend: mode } })
  const container = mode === NATIVE ? plain : learned(plain, store(), `run-${process.hrtime.bigint()}`)
  const { id, bundle, state } = workspace.bundle(container)
  const runc = (...args: string[]) => ['--root', state, ...args]
  const running = spawn('runc', runc('run', '--bundle', bundle, id), { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(running, 'close')
  let complaint = ''
  running.stderr.on('data', (chunk) => {
    complaint += chunk
  })
  try {
    await answers(port, () => (running.exitCode === null ? undefined : complaint))
    server.load(port, 1 / 3)
    return median(Array.from({ length: LOADS }, () => server.load(port, 1)))
  } finally {
    spawnSync('runc', runc('kill', id, 'KILL'), { stdio: 'ignore' }) // one that has ended already is no error
    await ended
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function answers(port: number, failure: () => string | undefined): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await delay(10)) {
    const why = failure()
    if (why !== undefined) throw new Error(`the server ended: ${why}`)
    const socket = connect(port, '127.0.0.1')
    const connected = await new Promise<boolean>((resolve) => {
      socket.on('connect', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
  }
  throw new Error(`nothing listens on port ${port}`)
}
