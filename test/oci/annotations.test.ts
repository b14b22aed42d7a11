import { test } from 'tap'
import { decodeAnnotations } from '../../src/oci/annotations.ts'

test('a container without annotations of ours asks for nothing', async (t) => {
  t.equal(decodeAnnotations({}), undefined)
  t.equal(decodeAnnotations({ 'org.example.io.sandbox.mode': 'learn', 'io.sandboxed': 'x' }), undefined)
})

test('the known keys are decoded', async (t) => {
  t.same(decodeAnnotations({ 'io.sandbox.mode': 'learn' }), { mode: 'learn' })
  t.same(
    decodeAnnotations({
      'io.sandbox.mode': 'enforce',
      'io.sandbox.policy': 'a-1.b_c',
      'io.sandbox.action': 'kill',
      'io.sandbox.detail': 'names',
    }),
    { mode: 'enforce', policy: 'a-1.b_c', action: 'kill', detail: 'names' },
  )
})

test('anything else is refused, so that a typing error cannot start a container without its sandbox', async (t) => {
  const cases: [annotations: Record<string, string>, message: RegExp][] = [
    [{ 'io.sandbox.mode': 'enforec' }, /io\.sandbox\.mode="enforec": expected learn or enforce/],
    [{ 'io.sandbox.mode': '' }, /expected learn or enforce/],
    [{ 'io.sandbox.mode': 'ENFORCE' }, /expected learn or enforce/],
    [{ 'io.sandbox.mode': 'enforce ' }, /expected learn or enforce/],
    [{ 'io.sandbox.mdoe': 'enforce' }, /io\.sandbox\.mdoe is not known/],
    [{ 'io.sandbox.': 'x' }, /is not known/],
    [{ 'io.sandbox.policy': 'web' }, /without io\.sandbox\.mode; set it to learn or enforce/],
    [{ 'io.sandbox.mode': 'learn', 'io.sandbox.detail': 'everything' }, /expected names/],
    [{ 'io.sandbox.mode': 'enforce', 'io.sandbox.action': 'allow' }, /expected errno or kill or log/],
  ]
  for (const [annotations, message] of cases) {
    t.throws(() => decodeAnnotations(annotations), { code: 'ANNOTATION_INVALID', message }, JSON.stringify(annotations))
  }
})

test("a policy's name cannot be a path", async (t) => {
  const names = [
    '../x',
    '/etc/passwd',
    'a/b',
    '..',
    '.',
    '.hidden',
    'a\0b',
    'a\nb',
    '',
    ' ',
    'a b',
    'x'.repeat(129),
    '~',
    '-rf',
    'ä',
  ]
  for (const name of names) {
    t.throws(
      () => decodeAnnotations({ 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': name }),
      { code: 'ANNOTATION_INVALID', message: /a policy's name is a letter or digit/ },
      JSON.stringify(name),
    )
  }
})
