/** Locks on files, held by the native helper: JavaScript has no flock(2). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { SandboxError } from '../errors.ts'
import { tracerPath } from './paths.ts'

/** Runs `work` while this process alone holds the lock FILE. The kernel frees it however the holder ends. */
export async function withLock<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  const holder = spawn(tracerPath(), ['lock', '--timeout', '30', file], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = once(holder, 'close')
  let said = ''
  let complaint = ''
  holder.stderr.on('data', (chunk) => {
    complaint += chunk
  })
  const locked = new Promise<boolean>((resolve) => {
    holder.stdout.on('data', (chunk) => {
      said += chunk
      if (said.includes('\n')) resolve(true)
    })
    holder.on('close', () => resolve(false))
    holder.on('error', (error) => {
      complaint = error.message
      resolve(false)
    })
  })
  if (!(await locked)) throw new SandboxError('STORE_FAILED', `cannot lock ${file}: ${complaint.trim()}`)
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await ended
  }
}
