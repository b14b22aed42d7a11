import t from 'tap'
import { configJson, type Program } from '../../demo/bundle.ts'
import { inTurn, median } from '../../demo/report.ts'

const program: Program = { policy: 'p', args: ['/bin/true'], env: [], mounts: [], hostNetwork: false }

t.test('a plain container has neither hooks nor annotations', async (t) => {
  const config = configJson(program, 'plain', '/config.json')
  t.notOk('hooks' in config)
  t.notOk('annotations' in config)
})

t.test('learn hooks createRuntime and poststop, enforce createRuntime only', async (t) => {
  const stages = (mode: 'learn' | 'enforce') => Object.keys(configJson(program, mode, '/config.json').hooks ?? {})
  t.strictSame(stages('learn'), ['createRuntime', 'poststop'])
  t.strictSame(stages('enforce'), ['createRuntime'])
})

t.test('the annotations name the mode and the policy', async (t) => {
  const { annotations } = configJson(program, 'enforce', '/config.json')
  t.strictSame(annotations, { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'p' })
})

t.test("a container has a network of its own unless it shares the host's", async (t) => {
  const types = (hostNetwork: boolean) =>
    configJson({ ...program, hostNetwork }, 'plain', '/c').linux.namespaces.map(({ type }) => type)
  t.ok(types(false).includes('network'))
  t.notOk(types(true).includes('network'))
})

t.test('the median', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(median([7]), 7)
  t.ok(Number.isNaN(median([])))
})

t.test('modes in turn', async (t) => {
  const turns = [...inTurn(['plain', 'enforce'], 2)]
  t.strictSame(turns, [
    [1, 'plain'],
    [1, 'enforce'],
    [2, 'plain'],
    [2, 'enforce'],
  ])
})
