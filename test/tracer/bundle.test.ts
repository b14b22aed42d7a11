/** What the helper makes of a bundle's config.json is what the program makes of it, or nothing. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { annotationsOf, decodeConfig, encodeConfig } from '../../src/oci/config.ts'
import { dockerAnnotations } from '../../src/shim/docker.ts'
import { type Change, moveConfig, prepareConfig } from '../../src/shim/prepare.ts'
import { damaged, Random } from '../lib/random.ts'

const ROOT = join(import.meta.dirname, '../..')
const TRACER = join(ROOT, 'tracer')
/** Configurations; each also once damaged. */
const ROUNDS = process.env.TEST_ALL ? 40_000 : 4000
const MODE = 'io.sandbox.mode'

/** tracer/repeat/bundle.c, compiled with the sanitizers. */
async function compile(t: Test): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'oci-sandbox-bundles')
  const repeat = ['bundle', 'bundle_write', 'bundle_image', 'question'].map((name) => `repeat/${name}`)
  const sources = [...repeat, 'base/strict', 'base/json', 'base/text', 'base/procfs'].map((name) =>
    join(TRACER, `${name}.c`),
  )
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
  const main = join(import.meta.dirname, 'fixtures/bundles.c')
  await execa('gcc', [...flags, '-fno-sanitize-recover=all', '-I', TRACER, '-o', program, main, ...sources])
  return program
}

/** The changed texts; undefined: it is not sure. */
async function changed(program: string, configs: readonly Buffer[]): Promise<(string | undefined)[]> {
  const input = Buffer.concat(configs.flatMap((config) => [Buffer.from(`${config.length}\n`), config]))
  const { stdout } = await execa(program, { input, encoding: 'buffer', maxBuffer: 1 << 28, stripFinalNewline: false })
  const output = Buffer.from(stdout)
  let at = 0
  return configs.map(() => {
    if (output[at] === 0x3f) {
      at += 2
      return undefined
    }
    const space = output.indexOf(' ', at)
    const end = space + 1 + Number(output.toString('latin1', at, space))
    at = end + 1
    return output.toString('utf8', space + 1, end)
  })
}

/** What the program makes of it: the JSON that the runtime reads. Throws where it refuses. */
function expected(program: string, text: string): unknown {
  const hook = (name: string) => ({ path: `/${name}`, args: [name] })
  const config = decodeConfig(text, 'of the test')
  const annotations = { ...dockerAnnotations(config), ...annotationsOf(config) }
  if ((annotations[MODE] ?? 'enforce') !== 'enforce') throw new Error('another mode')
  const change: Change = {
    annotations: { ...annotations, [MODE]: 'enforce' },
    hooks: { createRuntime: [hook('start')], poststop: [hook('end')] },
    alike: [{ path: program, args: ['oci-sandbox-tracer', 'hook', 'enforce'] }],
    enforced: true,
  }
  return JSON.parse(encodeConfig(moveConfig(prepareConfig(config, change), '/b')))
}

/** The surroundings of hooks, which the fixture has shorter. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, part) =>
    part?.path === '/start' || part?.path === '/end' ? { path: part.path, args: part.args } : part,
  )
}

const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))

function hookOf(random: Random, program: string): unknown {
  const args = ['oci-sandbox-tracer', 'hook', 'enforce']
  return random.pick<unknown>([
    { path: '/bin/true' },
    { path: '/bin/true', args: ['true', 'é'], env: [], timeout: 5 },
    { path: '/start', args: ['other'] },
    { path: program, args },
    { path: program, args, timeout: 60 },
    { path: program, args: [...args, '--config', '/x'] },
    { path: '/usr/bin/oci-sandbox', args: ['oci-sandbox', 'hook', 'learn'] },
    ...(random.chance(0.1)
      ? [
          { path: '/usr/bin/oci-sandbox', args: ['oci-sandbox', 'hook', 'enforce'] },
          null,
          'x',
          {},
          { args: [] },
          { path: program },
          { path: 5 },
          { path: program, args, Path: '/bin/true' },
          { path: program, args, ARGS: [] },
        ]
      : []),
  ])
}

/** As runtimes and managers write them, with odd things in them now and then. */
function configOf(random: Random, program: string, base: Record<string, unknown>): string {
  const config = structuredClone(base)
  const maybe = (chance: number, key: string, value: unknown) => {
    if (random.chance(chance)) config[key] = value
  }
  const list = (most: number) => Array.from({ length: random.below(most) }, () => hookOf(random, program))
  const stages = random.shuffled(['prestart', 'createRuntime', 'poststart', 'poststop', 'createContainer'])
  const odd = random.chance(0.05) ? [random.pick(['CreateRuntime', 'poſtstop', 'Poststop'])] : []
  maybe(0.6, 'hooks', Object.fromEntries([...stages.slice(0, random.below(5)), ...odd].map((key) => [key, list(3)])))
  const keys = random.shuffled([
    MODE,
    'io.sandbox.policy',
    'x',
    'org.opencontainers.image.ref.name',
    random.chance(0.1) ? 'é' : 'y',
    '__proto__',
  ])
  const value = () =>
    random.pick(['enforce', 'enforce', 'enforce', 'x', '', 'é😀\n"', ...(random.chance(0.1) ? ['\0', 5, null] : [])])
  maybe(0.7, 'annotations', Object.fromEntries(keys.slice(0, random.below(5)).map((key) => [key, value()])))
  maybe(0.05, 'annotations', { 'run.oci.seccomp_bpf_data': 'x' })
  maybe(0.6, 'root', {
    path: random.pick(
      random.chance(0.8) ? ['rootfs', '/r', 'a/b'] : ['./x', 'a/../b', '..', '', '.', 'é', 'a//b', 'a/'],
    ),
  })
  const source = () => random.pick(['/abs', 'data', '../up', 'tmpfs', ''])
  const options = () => random.pick([[], ['bind'], ['rbind', 'ro'], ['nosuid'], undefined])
  const mount = () => ({
    destination: '/m',
    type: random.pick(['bind', 'tmpfs']),
    source: source(),
    options: options(),
  })
  maybe(0.2, 'mounts', Array.from({ length: random.below(3) }, mount))
  maybe(
    0.03,
    random.pick(['Hooks', 'ROOT', 'hookſ', 'Annotations', 'root', 'hooks', 'mounts']),
    random.pick([null, [], 5]),
  )
  maybe(0.05, 'linux', { Seccomp: {} })
  maybe(0.1, 'linux', { seccomp: { a: 2 ** 60 }, x: [1.5, true, {}] })
  maybe(0.02, 'process', { nonewprivileges: true })
  return JSON.stringify(config, undefined, random.pick([undefined, undefined, 2]))
}

/** What damages it. */
const TOKENS = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '\\u0000',
  '\x80',
  '\0',
  '"hooks":{},',
  '"root":{},',
  'null',
  ' ',
]

test('the same configuration, or none', async (t) => {
  const program = await compile(t)
  const random = new Random(16)
  const bases = [{}, read('config.json.example'), read('test/corpus/bundle/config.json')]
  const whole = Array.from({ length: ROUNDS }, () => configOf(random, program, random.pick(bases)))
  const configs: Buffer[] = [...bases.map((base) => JSON.stringify(base)), ...whole].map((text) => Buffer.from(text))
  configs.push(...whole.map((text) => damaged(random, Buffer.from(text), TOKENS, 2)))
  const found = await changed(program, configs)
  let both = 0
  const wrong: unknown[] = []
  for (const [index, config] of configs.entries()) {
    const ours = found[index]
    if (ours === undefined) continue
    try {
      const theirs = plain(expected(program, config.toString('utf8')))
      if (JSON.stringify(sorted(plain(JSON.parse(ours)))) === JSON.stringify(sorted(theirs))) both++
      else wrong.push({ config: config.toString(), ours, theirs: JSON.stringify(theirs) })
    } catch (error) {
      wrong.push({ config: config.toString(), ours, theirs: String(error) })
    }
  }
  t.same(wrong.slice(0, 2), [])
  t.ok(both > 1000, `many have one: ${both} of ${configs.length}`)
})

/** With the members of each object in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, member]) => [key, sorted(member)])
}

test("the image is the one of Docker's own description", async (t) => {
  const program = await compile(t)
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const container = join(directory, 'containers', 'a'.repeat(64))
  mkdirSync(container, { recursive: true })
  const config = (source: string, annotations = {}) =>
    JSON.stringify({ annotations, mounts: [{ destination: '/etc/hostname', type: 'bind', source }] })
  const described = async (description: string | undefined, text: string) => {
    rmSync(join(container, 'config.v2.json'), { force: true })
    if (description !== undefined) writeFileSync(join(container, 'config.v2.json'), description)
    const [ours] = await changed(program, [Buffer.from(text)])
    if (ours !== undefined)
      t.same(JSON.parse(ours).annotations, (expected(program, text) as { annotations: object }).annotations)
    return ours === undefined ? undefined : JSON.parse(ours).annotations['org.opencontainers.image.ref.name']
  }
  const here = config(join(container, 'hostname'))
  t.equal(await described('{"ID":"x","Config":{"Hostname":"h","Image":"debian:12"}}', here), 'debian:12')
  const named = { 'org.opencontainers.image.ref.name': 'mine' }
  t.equal(await described('{"Config":{"Image":"debian:12"}}', config(join(container, 'hostname'), named)), 'mine')
  for (const source of ['/etc/hostname', join(directory, 'hostname'), join(container, 'hostnames')]) {
    t.equal(await described('{"Config":{"Image":"debian:12"}}', config(source)), undefined, source)
    t.not((await changed(program, [Buffer.from(config(source))]))[0], undefined, 'none, for certain')
  }
  t.not(
    (await changed(program, [Buffer.from(here.replace('aaaa', 'bbbb'))]))[0],
    undefined,
    'no description, for certain',
  )
  for (const text of ['{', '{}x', '{"Config":{"Image":5}}', '{"Config":5}', '{"Config":{},"Config":{}}', '[]']) {
    t.equal(await described(text, here), undefined, text)
  }
  t.equal(await described('{"Config":{"Image":""}}', here), undefined)
})
