/** A small image: the fixture programs, statically linked, and nothing else. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'

export const IMAGE = 'localhost/oci-sandbox-test:1'

const ROOT = join(import.meta.dirname, '../..')

/** Its one layer: a tar archive of a root file system with /fixtures/act. Returns the archive's path. */
export async function imageLayer(directory: string): Promise<string> {
  const root = join(directory, 'image-root')
  mkdirSync(join(root, 'fixtures'), { recursive: true })
  mkdirSync(join(root, 'proc'))
  mkdirSync(join(root, 'etc'))
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  await execa('gcc', ['-O1', '-static', '-o', join(root, 'fixtures/act'), join(ROOT, 'test/fixtures/act.c')])
  const layer = join(directory, 'layer.tar')
  await execa('tar', ['--owner=0', '--group=0', '-C', root, '-cf', layer, '.'])
  return layer
}

/** The image as an archive of an OCI image layout (image-spec, image-layout.md). Returns the archive's path. */
export async function imageArchive(directory: string): Promise<string> {
  const layout = join(directory, 'image-layout')
  const blobs = join(layout, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const blob = (data: string | Buffer, mediaType: string) => {
    const hash = createHash('sha256').update(data).digest('hex')
    writeFileSync(join(blobs, hash), data)
    return { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(data) }
  }
  const type = (name: string) => `application/vnd.oci.image.${name}`
  const layer = blob(readFileSync(await imageLayer(directory)), type('layer.v1.tar'))
  const config = blob(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      // As a pod's first container (the CRI's sandbox image) it only has to stay.
      config: { Cmd: ['/fixtures/act', 'pause'], Env: ['PATH=/fixtures'] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
    type('config.v1+json'),
  )
  const manifest = blob(
    JSON.stringify({ schemaVersion: 2, mediaType: type('manifest.v1+json'), config, layers: [layer] }),
    type('manifest.v1+json'),
  )
  const annotations = { 'io.containerd.image.name': IMAGE, 'org.opencontainers.image.ref.name': '1' }
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  )
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const archive = join(directory, 'image.tar')
  await execa('tar', ['-C', layout, '-cf', archive, '.'])
  return archive
}
