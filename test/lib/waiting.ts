import { execa } from 'execa'
import type { Container, Sandbox } from './sandbox.ts'

/** Starts a container whose program waits for its standard input (`act wait`), and resolves when it says so. */
export async function startWaiting(sandbox: Sandbox, container: Container) {
  const bundle = sandbox.bundle(container)
  const running = execa('runc', sandbox.runcArgs('run', '--bundle', bundle, sandbox.newId()), {
    reject: false,
    stdin: 'pipe',
  })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    running.stdout.on('data', (chunk: Buffer) => {
      said += chunk
      if (said.includes('wait: ready')) resolve()
    })
    running.then(({ stderr }) => reject(new Error(`the container ended early: ${stderr}`)))
  })
  return { running }
}
