/**
 * node bench/main.ts [--rounds N] [--markdown FILE] [NAME...]: runs the benchmarks (all, or those that are named) and prints a table
 * for each; --markdown also writes them to a file, with the machine that they were made on.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, constants, cpus, loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import { Workspace } from './container.ts'
import { benchDoors } from './doors.ts'
import { benchEnforce } from './enforce.ts'
import { benchFilter } from './filter.ts'
import { buildBunFixtures, compileFixtures, copyBuild } from './fixtures.ts'
import { benchHook } from './hook.ts'
import { benchLearn } from './learn.ts'
import { format, type Table } from './table.ts'
import { benchThroughput } from './throughput.ts'

type Benchmark = (workspace: Workspace, rounds?: number) => Table[] | Promise<Table[]>

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  hook: async (workspace, rounds) => [await benchHook(workspace, rounds)],
  learn: benchLearn,
  throughput: async (workspace, rounds) => [await benchThroughput(workspace, rounds)],
  enforce: benchEnforce,
  filter: benchFilter,
  doors: async (workspace, rounds) => [await benchDoors(workspace, rounds)],
}

/** What the figures depend on, besides us. */
function machine(): string {
  const [cpu] = cpus()
  const [runc] = execFileSync('runc', ['--version'], { encoding: 'utf8' }).split('\n')
  return [
    new Date().toISOString().slice(0, 10),
    `${availableParallelism()} cores (${cpu?.model.trim()})`,
    `Linux ${release()}`,
    runc,
    `Node ${process.versions.node}`,
  ].join(', ')
}

function load(): string {
  return loadavg()
    .map((value) => value.toFixed(1))
    .join(' ')
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string' }, markdown: { type: 'string' } },
  })
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHMARKS, name))
  if (unknown !== undefined || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
    const names = Object.keys(BENCHMARKS).join('|')
    console.error(`usage: node bench/main.ts [--rounds N] [--markdown FILE] [${names}]...`)
    process.exitCode = 2
    return
  }
  const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals
  await using workspace = new Workspace()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, async () => {
      await workspace[Symbol.asyncDispose]()
      process.exit(128 + constants.signals[signal])
    })
  }
  copyBuild()
  compileFixtures()
  buildBunFixtures()
  const before = load()
  const texts: string[] = []
  for (const name of names) {
    for (const table of await (BENCHMARKS[name] as Benchmark)(workspace, rounds)) {
      texts.push(format(table))
      console.log(`\n${texts.at(-1)}`)
    }
  }
  const footer = `${machine()}. Load average before: ${before}, after: ${load()} (the benchmarks' own load included).\n`
  console.log(footer)
  if (values.markdown !== undefined) writeFileSync(values.markdown, [...texts, footer].join('\n'))
}

await main()
