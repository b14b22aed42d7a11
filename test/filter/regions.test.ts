/** The exact procedure against the simulator, which runs one call at a time. */
import { test } from 'tap'
import { Diagram, Undecidable } from '../../src/filter/diagram.ts'
import { decodePrograms, type Regions, regionsOf } from '../../src/filter/regions.ts'
import { effectOf } from '../../src/filter/returns.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import { actionFor } from '../../src/filter/witness.ts'
import {
  encodeProgram,
  I386,
  type Instruction,
  randomProgram,
  someConstants,
  valuesAround,
  X86_64,
} from '../lib/programs.ts'
import { Random } from '../lib/random.ts'
import { nodeAt } from '../lib/regions.ts'

const everything = process.env.TEST_ALL === '1'

/** Calls whose words are constants of the programs, or next to one. */
function* calls(random: Random, programs: readonly (readonly Instruction[])[], count: number) {
  const values = valuesAround(programs)
  const word = () => (random.chance(0.8) ? random.pick(values) : Number(random.bigint(32)))
  for (let index = 0; index < count; index++) {
    const args = Array.from({ length: 6 }, () => (BigInt(word()) << 32n) | BigInt(word()))
    yield { arch: random.pick([X86_64, I386, word()]), number: word(), args, pointer: BigInt(word()) }
  }
}

test('random programs, one or several: the regions say what the simulator does', async (t) => {
  const random = new Random(11)
  const rounds = everything ? 6000 : 800
  let undecided = 0
  let checked = 0
  let branched = 0
  for (let round = 0; round < rounds; round++) {
    const constants = someConstants(random)
    const programs = Array.from({ length: 1 + random.below(3) }, () =>
      randomProgram(random, constants, {
        length: 3 + random.below(50),
        everything: random.chance(0.3),
        kills: true,
        pointer: true,
      }),
    )
    const bytes = programs.map(encodeProgram)
    const diagram = new Diagram()
    let regions: Regions
    try {
      regions = regionsOf(diagram, decodePrograms(bytes))
    } catch (error) {
      if (!(error instanceof Undecidable)) t.fail(`round ${round}: ${error}`, { programs })
      undecided++
      continue
    }
    if (diagram.size > 40) branched++
    const simulator = new Simulator(bytes)
    for (const call of calls(random, programs, 60)) {
      const found = actionFor(diagram, nodeAt(regions, call.arch, call.number), call)
      const expected = effectOf(simulator.run(call))
      checked++
      if (found !== expected) t.equal(found, expected, `round ${round}`, { call, programs })
    }
  }
  t.comment(`${checked} calls, ${branched} programs with arguments, ${undecided} undecided of ${rounds}`)
  t.ok(undecided < rounds / 3, `${undecided} undecided`)
  t.ok(branched > rounds / 5, `${branched} look at arguments`)
})
