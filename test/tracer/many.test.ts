// Many containers, several at a time: learned and enforced.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { allowOnly } from './bpf.ts'
import {
  type Bundle,
  countsOf,
  enforceHook,
  learnHook,
  makeBundle,
  noProcessOf,
  readLines,
  run,
  temporary,
} from './harness.ts'

const CONTAINERS = 200
const AT_A_TIME = 6

const many = async (work: (i: number) => Promise<void>): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < CONTAINERS) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
}

t.test(`${CONTAINERS} learned containers`, async (t) => {
  const outcomes = new Map<string, number>()
  const bundles: Bundle[] = []
  await many(async () => {
    const bundle = await makeBundle(t, { args: ['/bin/exact'], hook: learnHook })
    bundles.push(bundle)
    const { exitCode } = await run(bundle)
    const lines = await readLines(bundle.output) // at once
    const { event, complete } = lines.at(-1) ?? {}
    const outcome = JSON.stringify({ exitCode, event, complete, counts: countsOf(lines) })
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  })
  const counts = { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 }
  t.same([...outcomes], [[JSON.stringify({ exitCode: 6, event: 'finish', complete: true, counts }), CONTAINERS]])
  for (const bundle of bundles) await noProcessOf(bundle)
})

t.test(`${CONTAINERS} enforced containers`, async (t) => {
  const filter = join(await temporary(t), 'filter')
  await writeFile(filter, allowOnly([1, 231]))
  const outcomes = new Map<string, number>()
  const bundles: Bundle[] = []
  await many(async (i) => {
    const way = i % 2 ? ['--install', 'early'] : ['--install', 'exec', '--allow-no-new-privs']
    const bundle = await makeBundle(t, {
      args: [i % 4 < 2 ? '/bin/mini' : '/bin/exact'],
      hook: [...enforceHook(filter), ...way],
    })
    bundles.push(bundle)
    const { exitCode, stdout } = await run(bundle)
    const outcome = `${exitCode} ${stdout}`
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  })
  t.same(Object.fromEntries(outcomes), { '7 mini': CONTAINERS / 2, '159 exact': CONTAINERS / 2 })
  for (const bundle of bundles) await noProcessOf(bundle)
})
