import type { ArchRegions, Regions } from '../../src/filter/regions.ts'

/** The node of one architecture and number. */
export function nodeAt(regions: Regions, arch: number, number: number): number {
  const { starts, nodes } = regions.find(({ from, to }) => from <= arch && arch <= to) as ArchRegions
  let at = starts.length - 1
  while ((starts[at] as number) > number) at--
  return nodes[at] as number
}
