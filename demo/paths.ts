/** Where the demo's things are, from this file's own place. */
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** All that the demo makes is below this ignored folder. */
export const BUILD = join(ROOT, 'build/demo')
/** Made by demo/rootfs. */
export const ROOTFS = join(BUILD, 'rootfs')
/** The delivered programs, mounted at /program. */
export const PROGRAMS = join(import.meta.dirname, 'edf')
export const OCI_SANDBOX = join(ROOT, 'dist/oci-sandbox')
