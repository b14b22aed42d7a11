// Memory of the module: what is freed is given back, on every way out.
import { readFileSync } from 'node:fs'
import type { Arch, Comparison } from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { Library } from '../../wasm/src/library.ts'
import { Seccomp } from '../../wasm/src/seccomp.ts'
import { allow, codeOf, deny, wasmFile } from './helpers/seccomp.ts'

const module = new WebAssembly.Module(readFileSync(wasmFile))
const ioctl = (value: bigint): Comparison[] => [{ index: 1, op: '==', value }]

/** An instance of its own, whose memory can be looked at. */
const instance = () => {
  const library = new Library(module)
  return { seccomp: new Seccomp(library), pages: () => library.exports.memory.buffer.byteLength / 65536, library }
}

/** Where the next new block would lie, which moves when something before it is kept. Is never freed: it would be found again. */
const probeOf = ({ exports }: Library): number => exports.malloc(40_000)

/** Everything that allocates, in one filter's life. */
const live = (seccomp: Seccomp, architectures: Arch[]): void => {
  using filter = seccomp.filter({ defaultAction: deny, architectures })
  filter.add(allow, 'read').add(allow, 'socket').priority('read', 9)
  for (let value = 0n; value < 8n; value++) filter.add(allow, 'ioctl', ioctl(value))
  filter.toBPF()
  filter.toPFC()
  filter.add(allow, 'write').toBPF()
  using calls = seccomp.filter({ defaultAction: deny, architectures: architectures.slice(0, 1) })
  calls.addCalls(allow, [
    [0, 1],
    [3, 0],
  ])
  calls.toBPF()
  codeOf(() => calls.addCalls(deny, [[0, 0]]))
}

/** Everything that fails, in one filter's life. */
const fail = (seccomp: Seccomp, architectures: Arch[]): void => {
  codeOf(() => seccomp.filter({ defaultAction: deny, architectures: [...architectures, 's390x'] }))
  codeOf(() => seccomp.filter({ defaultAction: deny, architectures, optimize: 9 as 1 }))
  using filter = seccomp.filter({ defaultAction: deny, architectures })
  filter.add(allow, 'ioctl', ioctl(1n))
  codeOf(() => filter.add({ kind: 'trap' }, 'ioctl', ioctl(1n)))
  codeOf(() => filter.add(allow, 'ioctl', [...ioctl(1n), ...ioctl(2n)]))
  codeOf(() => filter.add(allow, 'nope'))
  codeOf(() => filter.merge(filter))
  using other = seccomp.filter({ defaultAction: deny, architectures: ['aarch64'] })
  filter.merge(other).toBPF()
}

test('10,000 filters take no more memory than the first ones', async (t) => {
  const { seccomp, pages, library } = instance()
  const round = () => {
    live(seccomp, ['x86_64', 'x86'])
    fail(seccomp, ['x86_64', 'x86'])
  }
  const probe = () => probeOf(library)
  // Once nothing is in use any more, memory begins anew, whatever was kept.
  probe()
  for (let i = 0; i < 100; i++) round()
  const [first, second, size] = [probe(), probe(), pages()]
  for (let i = 0; i < 4900; i++) round()
  t.equal(pages(), size, `${size} pages`)
  t.equal(probe() - second, second - first, 'nothing lies between')
})

test('the probe of this test sees a filter that is not freed', async (t) => {
  const { seccomp, library } = instance()
  const probe = () => probeOf(library)
  probe()
  live(seccomp, ['x86_64'])
  const [first, second] = [probe(), probe()]
  for (let i = 0; i < 100; i++) seccomp.filter({ defaultAction: deny, architectures: ['x86_64'] }).add(allow, 'read')
  t.ok(probe() - second > second - first)
})

test('programs that are too long give their memory back', async (t) => {
  const { seccomp, pages } = instance()
  const round = () => {
    using filter = seccomp.filter({ defaultAction: deny, architectures: ['x86_64'] })
    for (let value = 0n; value < 4200n; value++) filter.add(allow, 'ioctl', ioctl(value))
    t.equal(
      codeOf(() => filter.toBPF()),
      'E2BIG',
    )
  }
  round()
  const size = pages()
  for (let i = 0; i < 5; i++) round()
  t.equal(pages(), size)
})

test('memory that is exhausted ends in ENOMEM, and freeing helps', async (t) => {
  const { seccomp } = instance()
  const filter = seccomp.filter({ defaultAction: deny, architectures: ['x86_64'] })
  let code: string | undefined
  let count = 0
  // Many small sets of rules: one large set would be slow long before it is large.
  const filters = [filter]
  while (code === undefined && count < 1000) {
    const next = filters.at(-1) ?? filter
    code = codeOf(() => {
      for (let value = 0n; value < 500n; value++) next.add(allow, 'ioctl', ioctl(value))
      filters.push(seccomp.filter({ defaultAction: deny, architectures: ['x86_64'] }))
    })
    count++
  }
  t.equal(code, 'ENOMEM')
  for (const one of filters) one.free()
  live(seccomp, ['x86_64'])
})
