/** Mounts that a killed engine or runtime leaves below a directory. */
import { readFileSync } from 'node:fs'
import { execa } from 'execa'

/** Takes them away, the innermost first: removing the directory would fail, or remove what is mounted there. */
export async function unmountBelow(directory: string): Promise<void> {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
  for (const point of points.reverse()) await execa('umount', ['--lazy', point], { reject: false })
}
