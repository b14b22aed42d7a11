// The package works alike in Node, in Bun, and in a binary that Bun has compiled, which embeds the module.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixtures = `${root}test/wasm/fixtures`
const folder = `${root}build/test/runtimes`
const bun = `${root}node_modules/@oven/bun-linux-x64/bin/bun`
mkdirSync(folder, { recursive: true })

const output = (file: string, ...args: string[]) => execFileSync(file, args, { cwd: root }).toString().trim()
const here = output(process.execPath, `${fixtures}/use-package.ts`)

test('Node and Bun export the same program', async (t) => {
  t.match(here, /^[0-9a-f]{64}$/)
  t.equal(output(bun, `${fixtures}/use-package.ts`), here)
})

test('a binary compiled by Bun, started elsewhere, exports the same program', async (t) => {
  const binary = `${folder}/embedded`
  output(
    bun,
    'build',
    '--compile',
    '--minify',
    '--bytecode',
    '--format=esm',
    '--outfile',
    binary,
    `${fixtures}/use-embedded.ts`,
  )
  t.equal(execFileSync(binary, [], { cwd: '/', env: {} }).toString().trim(), here)
})

const node20 = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (file) => existsSync(file) && output(file, '--version').startsWith('v20.'),
)

test('Node 20 exports the same program', { skip: node20 === undefined && 'no Node 20 here' }, async (t) => {
  // Inside the repository, so that the package is found.
  const script = `${folder}/use-package.mjs`
  writeFileSync(script, stripTypeScriptTypes(readFileSync(`${fixtures}/use-package.ts`, 'utf8')))
  t.equal(output(node20 ?? '', script), here)
})
