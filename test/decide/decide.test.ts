import { test } from 'tap'
import { decide } from '../../src/decide/decide.ts'
import { withDefaults } from '../../src/decide/settings.ts'

const settings = withDefaults({})
const learn = { 'io.sandbox.mode': 'learn', 'io.sandbox.policy': 'web' }
const enforce = { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'web' }

test('without annotations of ours a container passes', async (t) => {
  t.same(decide({ other: 'x' }, settings), { kind: 'pass' })
})

test('learn and enforce, with their defaults', async (t) => {
  t.same(decide(learn, settings), { kind: 'learn', policy: 'web', detail: 'names' })
  t.same(decide(enforce, settings), { kind: 'enforce', policy: 'web', action: 'errno' })
  t.same(decide({ ...enforce, 'io.sandbox.action': 'kill' }, settings), {
    kind: 'enforce',
    policy: 'web',
    action: 'kill',
  })
})

test("the host's first permitted action is the default", async (t) => {
  t.match(decide(enforce, { ...settings, actions: ['kill', 'errno'] }), { action: 'kill' })
})

test('an annotation cannot ask for what the host does not permit', async (t) => {
  t.throws(() => decide(learn, { ...settings, modes: ['enforce'] }), {
    code: 'NOT_PERMITTED',
    message: /io\.sandbox\.mode=learn is not permitted on this host \(its configuration permits: enforce\)/,
  })
  t.throws(() => decide(enforce, { ...settings, modes: [] }), { message: /permits: none/ })
  t.throws(() => decide({ ...learn, 'io.sandbox.detail': 'events' }, { ...settings, details: ['names', 'args'] }), {
    code: 'NOT_PERMITTED',
    message: /io\.sandbox\.detail=events is not permitted on this host \(its configuration permits: names, args\)/,
  })
  t.throws(() => decide({ ...enforce, 'io.sandbox.action': 'log' }, { ...settings, actions: ['errno'] }), {
    code: 'NOT_PERMITTED',
    message: /io\.sandbox\.action=log/,
  })
})

test('a program that crun starts without an execve is not enforced, and does not start', async (t) => {
  for (const key of ['run.oci.handler', 'module.wasm.image/variant']) {
    t.throws(() => decide({ ...enforce, [key]: 'wasm' }, settings), {
      code: 'NOT_PERMITTED',
      message: new RegExp(`annotation ${key}=wasm has the program run without an execve`),
    })
    t.match(decide({ ...enforce, [key]: '' }, settings), { kind: 'enforce' })
    t.match(decide({ [key]: 'wasm' }, settings), { kind: 'pass' })
  }
})

test('without a name the policy is that of the image, where the runtime tells it', async (t) => {
  const name = (annotations: Record<string, string>) => {
    const decision = decide({ 'io.sandbox.mode': 'enforce', ...annotations }, settings)
    return decision.kind === 'enforce' ? decision.policy : decision.kind
  }
  const nginx = name({ 'io.kubernetes.cri.image-name': 'docker.io/library/nginx:1.25' })
  t.match(nginx, /^docker\.io_library_nginx_1\.25-[0-9a-f]{12}$/)
  t.equal(
    name({ 'io.kubernetes.cri-o.ImageName': 'docker.io/library/nginx:1.25' }),
    nginx,
    'the same image, the same policy',
  )
  t.not(
    name({ 'io.kubernetes.cri.image-name': 'docker.io/library_nginx:1.25' }),
    nginx,
    'another image, another policy',
  )
  t.match(name({ 'org.opencontainers.image.digest': `sha256:${'a'.repeat(64)}` }), /^sha256_a+-[0-9a-f]{12}$/)
  t.match(name({ 'org.opencontainers.image.ref.name': '../../etc' }), /^etc-[0-9a-f]{12}$/, 'never a path')
  t.match(name({ 'org.opencontainers.image.ref.name': 'x'.repeat(5000) }), /^x{100}-[0-9a-f]{12}$/, 'never too long')
  t.equal(name({ 'io.sandbox.policy': 'web', 'io.kubernetes.cri.image-name': 'nginx' }), 'web', 'a name goes first')
  t.throws(() => name({}), { code: 'POLICY_UNNAMED', message: /set the annotation io\.sandbox\.policy=NAME/ })
})

test('learn keeps what is known of the image', async (t) => {
  const annotations = { ...learn, 'io.kubernetes.cri.image-name': `reg/x@sha256:${'b'.repeat(64)}` }
  t.match(decide(annotations, settings), {
    image: { name: annotations['io.kubernetes.cri.image-name'], digest: `sha256:${'b'.repeat(64)}` },
  })
})
