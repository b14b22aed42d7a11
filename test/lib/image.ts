/** An image of two static programs, /act and /pause, made without any registry. */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Sandbox } from './sandbox.ts'

export const IMAGE = 'docker.io/test/act:1'

/** The image's file system as a tar file, for docker import. */
export async function makeLayer(sandbox: Sandbox): Promise<string> {
  const tree = join(sandbox.directory, 'image')
  for (const name of ['proc', 'dev', 'sys', 'etc', 'tmp', 'run']) mkdirSync(join(tree, name), { recursive: true })
  cpSync(join(sandbox.directory, 'rootfs/fixtures/act-static'), join(tree, 'act'))
  const pause = join(sandbox.directory, 'pause.c')
  writeFileSync(pause, '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n')
  await execa('gcc', ['-O1', '-static', '-o', join(tree, 'pause'), pause])
  const layer = join(sandbox.directory, 'layer.tar')
  await execa('tar', ['--create', '--file', layer, '--directory', tree, '.'])
  return layer
}

/** The image as an archive in the image-spec's layout, for ctr image import. */
export async function makeImage(sandbox: Sandbox): Promise<string> {
  const layer = readFileSync(await makeLayer(sandbox))
  const layout = join(sandbox.directory, 'layout')
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true })
  const blob = (mediaType: string, data: Uint8Array | object) => {
    const bytes = data instanceof Uint8Array ? data : Buffer.from(JSON.stringify(data))
    const sum = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(join(layout, 'blobs/sha256', sum), bytes)
    return { mediaType, digest: `sha256:${sum}`, size: bytes.length }
  }
  const layers = [blob('application/vnd.oci.image.layer.v1.tar', layer)]
  const config = blob('application/vnd.oci.image.config.v1+json', {
    ...{ architecture: 'amd64', os: 'linux', config: { Entrypoint: ['/pause'] } },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  })
  const manifest = blob('application/vnd.oci.image.manifest.v1+json', { schemaVersion: 2, config, layers })
  const annotations = { 'io.containerd.image.name': IMAGE, 'org.opencontainers.image.ref.name': '1' }
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] }
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const archive = join(sandbox.directory, 'image.tar')
  await execa('tar', ['--create', '--file', archive, '--directory', layout, '.'])
  return archive
}
