/**
 * Docker writes neither the image nor labels into config.json. The image's name is in its own description of the container, beside the
 * /etc/hostname that it mounts. Labels are not taken from there: an image brings some along, and whoever makes an image must not choose
 * into which policy it is learned.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isObject } from '../json.ts'
import type { ConfigJson } from '../oci/config.ts'
import { NAME_KEY } from '../oci/image.ts'

/** DATA-ROOT/containers/ID/hostname. */
const HOSTNAME = /\/containers\/[0-9a-f]{64}\/hostname$/

/** The annotations that tell the image, or none. */
export function dockerAnnotations(config: ConfigJson): Readonly<Record<string, string>> {
  const mounts = Array.isArray(config.mounts) ? config.mounts : []
  const hostname = mounts.find((mount) => isObject(mount) && mount.destination === '/etc/hostname')
  const source = isObject(hostname) ? hostname.source : undefined
  if (typeof source !== 'string' || !HOSTNAME.test(source)) return {}
  try {
    const text = readFileSync(join(dirname(source), 'config.v2.json'), 'utf8')
    const image = JSON.parse(text)?.Config?.Image
    return typeof image === 'string' && image !== '' ? { [NAME_KEY]: image } : {}
  } catch {
    return {}
  }
}
