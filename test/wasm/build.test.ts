// seccomp.wasm: the same bytes wherever it is built, nothing of this machine inside, and nothing imported but what is
// provided. Also what libseccomp/fetch promises about the archive it keeps.
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'
import { wasmFile } from './helpers/seccomp.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}build/test/reproducible`
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A copy of what the build reads, elsewhere, built there. */
const buildIn = async (copy: string): Promise<Uint8Array> => {
  rmSync(copy, { recursive: true, force: true })
  for (const part of ['libseccomp/source/tree', 'libseccomp/source/stamp']) {
    cpSync(`${root}${part}`, `${copy}/${part}`, { recursive: true })
  }
  mkdirSync(`${copy}/wasm`)
  for (const part of ['build', 'exports', 'glue.c', 'hash.c', 'memory.c', 'newer-syscalls.c']) {
    cpSync(`${root}wasm/${part}`, `${copy}/wasm/${part}`)
  }
  await promisify(execFile)(`${copy}/wasm/build`)
  return readFileSync(`${copy}/wasm/dist/seccomp.wasm`)
}

test('two folders give the same bytes, those that are shipped', async (t) => {
  const [one, two] = await Promise.all([buildIn(`${folder}/one`), buildIn(`${folder}/a/longer/path/two`)])
  t.equal(sha256(one), sha256(two))
  t.equal(sha256(one), sha256(readFileSync(wasmFile)))
  t.notOk(Buffer.from(one).includes(root), 'no path of this machine')
})

test('the module needs nothing but four calls of WASI', async (t) => {
  const module = new WebAssembly.Module(readFileSync(wasmFile))
  const imports = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`)
  t.same(imports.sort(), [
    'wasi_snapshot_preview1.fd_close',
    'wasi_snapshot_preview1.fd_read',
    'wasi_snapshot_preview1.fd_seek',
    'wasi_snapshot_preview1.fd_write',
  ])
  const exported = WebAssembly.Module.exports(module).map(({ name }) => name)
  const listed = readFileSync(`${root}wasm/exports`, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  t.ok(listed.length > 15)
  for (const name of listed) t.ok(exported.includes(name), name)
})

test('the module is small: whoever loads it waits until an engine has prepared all its code', async (t) => {
  const bytes = readFileSync(wasmFile)
  const code = 10
  let size = 0
  for (let at = 8, end = at; at < bytes.length; at = end) {
    const section = bytes[at++] as number
    let length = 0
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++] as number
      length += (byte & 0x7f) * 2 ** shift
      more = byte >= 0x80
    }
    end = at + length
    if (section === code) size = length
  }
  // Patch 0008 and memory.c take 10,000 bytes off each.
  t.ok(size > 0 && size < 50_000, `${size} bytes of code`)
})

test('a spoilt archive is never unpacked', async (t) => {
  const copy = `${folder}/fetch`
  rmSync(copy, { recursive: true, force: true })
  cpSync(`${root}libseccomp`, `${copy}/libseccomp`, {
    recursive: true,
    filter: (path) => !path.includes('/source/tree'),
  })
  const archive = `${copy}/libseccomp/source/libseccomp_2.6.0.orig.tar.gz`
  // No scripts/debian-fetch beside it, and no program that could reach upstream: nothing answers.
  const fetch = () => {
    const path = `${copy}/bin`
    rmSync(path, { recursive: true, force: true })
    mkdirSync(path)
    for (const tool of 'sh cat cut dirname gzip mkdir mktemp mv patch rm sha256sum tar'.split(' ')) {
      symlinkSync(`/usr/bin/${tool}`, `${path}/${tool}`)
    }
    return spawnSync(`${copy}/libseccomp/fetch`, { env: { PATH: path } })
  }
  appendFileSync(archive, 'x')
  const refused = fetch()
  t.equal(refused.status, 1)
  t.match(refused.stderr.toString(), /another sha256 than pinned/)
  t.match(
    refused.stderr.toString(),
    /place it at libseccomp\/source\/libseccomp_2\.6\.0\.orig\.tar\.gz\n\(sha256 83b6085/,
  )

  cpSync(`${root}libseccomp/source/libseccomp_2.6.0.orig.tar.gz`, archive)
  const placed = fetch()
  t.equal(placed.status, 0, placed.stderr.toString())
  const patched = readFileSync(`${copy}/libseccomp/source/tree/src/db.c`, 'utf8')
  t.match(patched, /x_iter->act_f = n_iter->act_f;\n\t+if \(_db_chain_leaf/, 'patched')
})
