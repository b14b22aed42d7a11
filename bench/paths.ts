/** Where the benchmarks' things are, from this file's own place. */
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** All that the benchmarks make is below this ignored folder. */
export const BUILD = join(ROOT, 'build/bench')
/** The compiled fixtures, and where containers see them. */
export const FIXTURES = join(BUILD, 'fixtures')
export const FIXTURES_INSIDE = '/bench'
export const FIXTURE_SOURCES = join(import.meta.dirname, 'fixtures')
/** What `make build` makes the programs with. */
export const BUN = join(ROOT, 'node_modules/@oven/bun-linux-x64/bin/bun')
/** What `make build` makes. */
export const DIST = join(ROOT, 'dist')
/** A copy of it is measured, as somebody may build again meanwhile. */
export const MEASURED = join(BUILD, 'dist')
export const OCI_SANDBOX = join(MEASURED, 'oci-sandbox')
export const TRACER = join(MEASURED, 'oci-sandbox-tracer')
export const SHIM = join(MEASURED, 'oci-sandbox-runtime')
/** bench/fixtures/measured.c, compiled. */
export const MEASURED_RUN = join(FIXTURES, 'measured')
/** The same program in Node. */
export const MAIN_SCRIPT = join(ROOT, 'src/cli/main.ts')
/** Made by demo/rootfs. */
export const DEMO_ROOTFS = join(ROOT, 'build/demo/rootfs')
