/** What the host requires, over the annotations. */
import { test } from 'tap'
import { decide } from '../../src/decide/decide.ts'
import { matchesPattern, type Requirement } from '../../src/decide/required.ts'
import { withDefaults } from '../../src/decide/settings.ts'
import type { HostConfig } from '../../src/generated/config.ts'

type Asked = Record<string, string>

const image = { 'io.kubernetes.cri.image-name': 'docker.io/library/nginx:1.25' }
const pause = { 'io.kubernetes.cri.container-type': 'sandbox' }
const web = { policy: 'web' }

/** Annotations without their prefix -> what comes of it: "enforce web errno", "learn web", "pass", or the code of the error. */
function outcome(config: HostConfig, asked: Asked, others: Asked = {}): string {
  const ours = Object.entries(asked).map(([key, value]) => [`io.sandbox.${key}`, value])
  try {
    const decision = decide({ ...others, ...Object.fromEntries(ours) }, withDefaults(config))
    if (decision.kind === 'pass') return 'pass'
    return [decision.kind, decision.policy, decision.kind === 'enforce' ? decision.action : ''].join(' ').trim()
  } catch (error) {
    return (error as { code: string }).code
  }
}

const required = (...rules: Requirement[]): HostConfig => ({ required: rules })
const only = (mode: Requirement['mode'], modes: NonNullable<HostConfig['modes']>): HostConfig => ({
  ...required({ mode }),
  modes,
})
const LEARN = { mode: 'learn', ...web }
const ENFORCE = { mode: 'enforce', ...web }

test('annotation x required x modes', async (t) => {
  const both: HostConfig['modes'] = ['learn', 'enforce']
  const cases: [what: string, config: HostConfig, asked: Asked, expected: string][] = [
    // required enforce
    ['no annotation', only('enforce', both), {}, 'POLICY_UNNAMED'],
    ['only a policy', only('enforce', both), web, 'enforce web errno'],
    ['enforce', only('enforce', both), ENFORCE, 'enforce web errno'],
    ['learn', only('enforce', both), LEARN, 'NOT_PERMITTED'],
    ['learn is all that may be asked for', only('enforce', ['learn']), LEARN, 'NOT_PERMITTED'],
    ['enforce may not be asked for, but is required', only('enforce', []), ENFORCE, 'enforce web errno'],
    ['nothing may be asked for: a policy', only('enforce', []), web, 'enforce web errno'],
    ['a stricter action', only('enforce', both), { ...ENFORCE, action: 'kill' }, 'enforce web kill'],
    ['the weakest action', only('enforce', both), { ...ENFORCE, action: 'log' }, 'NOT_PERMITTED'],
    ['a misspelt key', only('enforce', both), { ...web, mod: 'enforce' }, 'ANNOTATION_INVALID'],
    ['a misspelt mode', only('enforce', both), { ...web, mode: 'none' }, 'ANNOTATION_INVALID'],
    // required learn
    ['no annotation', only('learn', both), {}, 'POLICY_UNNAMED'],
    ['only a policy', only('learn', both), web, 'learn web'],
    ['learn', only('learn', both), LEARN, 'learn web'],
    ['learn may not be asked for, but is required', only('learn', ['enforce']), LEARN, 'learn web'],
    ['enforce is more', only('learn', both), ENFORCE, 'enforce web errno'],
    ['enforce may not be asked for', only('learn', ['learn']), ENFORCE, 'NOT_PERMITTED'],
    ['log with learn required', only('learn', both), { ...ENFORCE, action: 'log' }, 'enforce web log'],
    // nothing required
    ['no annotation', only('none', both), {}, 'pass'],
    ['only a policy', only('none', both), web, 'ANNOTATION_INVALID'],
    ['learn', only('none', both), LEARN, 'learn web'],
    ['learn may not be asked for', only('none', ['enforce']), LEARN, 'NOT_PERMITTED'],
    ['no rule', {}, {}, 'pass'],
    ['no rule, only a policy', {}, web, 'ANNOTATION_INVALID'],
  ]
  for (const [what, config, asked, expected] of cases) {
    t.equal(outcome(config, asked), expected, `${config.required?.[0]?.mode ?? 'no rule'}: ${what}`)
  }
})

test("the host's action is the least that a container which must be enforced gets", async (t) => {
  const kill: HostConfig = { ...required({ mode: 'enforce' }), actions: ['kill', 'errno', 'log'] }
  t.equal(outcome(kill, web), 'enforce web kill')
  t.equal(outcome(kill, { ...web, action: 'errno' }), 'NOT_PERMITTED')
  const log: HostConfig = { ...required({ mode: 'enforce' }), actions: ['log', 'errno'] }
  t.equal(outcome(log, web), 'enforce web log', 'a host that only watches')
  t.equal(outcome(log, { ...web, action: 'errno' }), 'enforce web errno')
  t.equal(outcome(log, { ...web, action: 'kill' }), 'NOT_PERMITTED', 'not in the list')
})

test("a rule's policy is used, and no other", async (t) => {
  const rule = required({ mode: 'enforce', policy: 'web' })
  t.equal(outcome(rule, {}), 'enforce web errno', 'without an annotation it is enforced as if asked for')
  t.equal(outcome(rule, { policy: 'web' }), 'enforce web errno')
  t.equal(outcome(rule, { policy: 'loose' }), 'NOT_PERMITTED')
  t.equal(outcome(rule, {}, image), 'enforce web errno', "before the image's")
  t.equal(outcome(required({ mode: 'learn', policy: 'web' }), {}), 'learn web')
  t.equal(outcome(required({ mode: 'learn', policy: 'web' }), { mode: 'enforce', policy: 'loose' }), 'NOT_PERMITTED')
})

test('the first rule that matches holds', async (t) => {
  const config = required(
    { image: 'docker.io/library/nginx:*', mode: 'enforce', policy: 'nginx' },
    { image: 'docker.io/library/*', mode: 'learn' },
    { image: `sha256:${'a'.repeat(64)}`, mode: 'none' },
    { mode: 'enforce', policy: 'rest' },
  )
  const named = (name: string) => ({ 'io.kubernetes.cri-o.ImageName': name })
  t.equal(outcome(config, {}, named('docker.io/library/nginx:1.25')), 'enforce nginx errno')
  t.match(outcome(config, {}, named('docker.io/library/redis:7')), /^learn docker\.io_library_redis_7-/)
  t.equal(outcome(config, {}, named('quay.io/x')), 'enforce rest errno')
  t.equal(outcome(config, {}, named(`quay.io/x@sha256:${'a'.repeat(64)}`)), 'pass', 'by digest')
  t.equal(outcome(config, {}), 'enforce rest errno', 'an image that is not told is matched by rules without one only')
})

test("a pod's sandbox", async (t) => {
  t.equal(outcome({}, ENFORCE, pause), 'pass', "its pod's annotations do not mean it")
  t.equal(outcome(required({ mode: 'enforce', policy: 'web' }), {}, pause), 'enforce web errno', 'all is all')
  const config = required({ podSandbox: true, mode: 'none' }, { mode: 'enforce' })
  t.equal(outcome(config, ENFORCE, pause), 'pass')
  t.equal(outcome(config, ENFORCE, { 'io.kubernetes.cri.container-type': 'container' }), 'enforce web errno')
  t.equal(outcome(config, ENFORCE, { 'io.kubernetes.cri-o.ContainerType': 'sandbox' }), 'pass')
  t.equal(outcome(required({ podSandbox: false, mode: 'enforce' }), web), 'enforce web errno')
  t.equal(outcome(required({ podSandbox: false, mode: 'enforce' }), web, pause), 'pass')
})

test('patterns', async (t) => {
  const cases: [pattern: string, text: string, expected: boolean][] = [
    ['nginx', 'nginx', true],
    ['nginx', 'nginx:1', false],
    ['nginx', 'my/nginx', false],
    ['*', '', true],
    ['*', 'a/b:c', true],
    ['?', '', false],
    ['?', 'a', true],
    ['a*b*c', 'a-bb-c', true],
    ['a*b*c', 'a-bb-cd', false],
    ['*/nginx:?', 'docker.io/library/nginx:1', true],
    ['**a**', 'xax', true],
    ['a.c', 'abc', false],
    ['[a]', 'a', false],
    ['a\\*', 'a*', false],
    ['', '', true],
    ['', 'a', false],
    ['*a', 'aab', false],
    ['*ab', 'aaab', true],
  ]
  for (const [pattern, text, expected] of cases) t.equal(matchesPattern(pattern, text), expected, `${pattern} ${text}`)
  const started = performance.now()
  t.notOk(matchesPattern(`${'*a'.repeat(200)}b`, 'a'.repeat(1024)))
  t.ok(performance.now() - started < 10_000, 'no pattern takes exponential time')
})
