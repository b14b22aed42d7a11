/** Documents of every version there was are read, for good: versions/N.json is one as its program wrote it, N.now.json what it is now. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { parseObject } from '../../src/json.ts'
import { decodePolicy, encodePolicy, POLICY_VERSION } from '../../src/policy/document.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { migrated, STEPS } from '../../src/policy/migrations.ts'

const DIRECTORY = join(import.meta.dirname, 'versions')
const read = (name: string) => readFileSync(join(DIRECTORY, name), 'utf8')

const refuse = (problem: string, remedy = ''): never => {
  throw new Error(`${problem}; ${remedy}`)
}

test('there is a step from each version to the next, and a document of each', async (t) => {
  t.equal(STEPS.length, POLICY_VERSION - 1)
  const expected = Array.from({ length: POLICY_VERSION }, (_, at) => [`${at + 1}.json`, `${at + 1}.now.json`])
  t.same(readdirSync(DIRECTORY).sort(), expected.flat().sort())
})

for (let version = 1; version <= POLICY_VERSION; version++) {
  test(`version ${version} is read as what it is now, and written so`, async (t) => {
    const text = read(`${version}.json`)
    t.equal(parseObject(text, refuse).version, version)
    const now = encodePolicy(decodePolicy(text, 'x'))
    t.equal(now, read(`${version}.now.json`))
    t.equal(encodePolicy(decodePolicy(now, 'x')), now, 'and read again')
    if (version === POLICY_VERSION) t.equal(now, text)
    const policy = decodePolicy(text, 'x')
    t.equal(encodePolicy(mergePolicies(policy, decodePolicy(now, 'x'))), now, 'merged with itself it is the same')
  })
}

test('a step does not change the document that it is given', async (t) => {
  const before = parseObject(read('1.json'), refuse)
  const text = JSON.stringify(before)
  const after = migrated(before, POLICY_VERSION, refuse)
  t.equal(JSON.stringify(before), text)
  t.not(after, before)
})

test('what a step does not understand stays, for the schema to name', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['{"version":1}', /required property/],
    ['{"version":1,"architectures":[]}', /\/architectures: must be object/],
    ['{"version":1,"architectures":{"x86_64":7}}', /\/architectures\/x86_64: must be object/],
    ['{"version":1,"architectures":{"x86_64":{"syscalls":{}}}}', /syscalls: must be array/],
    ['{"version":1,"architectures":{"x86_64":{"syscalls":[null]}}}', /syscalls\/0: must be object/],
    ['{"version":1,"architectures":{"x86_64":{"syscalls":[{"name":"a","reason":7}]}}}', /reasons\/0: must be string/],
    ['{"version":1,"architectures":{"x86_64":{"syscalls":[{"name":"a","__proto__":7}]}}}', /unknown key "__proto__"/],
    ['{"version":1,"architectures":{"__proto__":{"syscalls":[]}}}', /unknown key "__proto__"/],
  ]
  for (const [text, message] of cases)
    t.throws(() => decodePolicy(text, 'x'), { code: 'POLICY_INVALID', message }, text)
})

test('what is no version, and a newer one, say what to do', async (t) => {
  const versions: [version: string, message: RegExp][] = [
    [String(POLICY_VERSION + 1), /is newer than this program, which knows 1 to \d+; update oci-sandbox on this host/],
    ['0', /version 0 is no version of a policy/],
    ['-1', /version -1 is no version/],
    ['1.5', /version 1.5 is no version/],
    ['"2"', /version "2" is no version/],
    ['null', /version null is no version/],
    ['99999999999999999999', /is no version/],
  ]
  for (const [version, message] of versions) {
    const text = `{"version":${version}}`
    t.throws(() => decodePolicy(text, 'x'), { code: 'POLICY_INVALID', message }, version)
  }
})
