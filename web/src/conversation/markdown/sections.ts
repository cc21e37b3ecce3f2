import type { Block } from './blocks'

/** A run of neighbouring blocks that is drawn at once. */
export type Section = readonly Block[]

/** What one section weighs, at least. */
const WEIGHT = 24_000

/** The sections of a text. Those before the last stay the same while it grows. */
export function sectionsOf(blocks: readonly Block[]): Section[] {
  const sections: Section[] = []
  let from = 0
  let weight = 0
  for (const [index, block] of blocks.entries()) {
    if (index > from && weight + block.weight > WEIGHT) {
      sections.push(blocks.slice(from, index))
      from = index
      weight = 0
    }
    weight += block.weight
  }
  if (from < blocks.length) sections.push(blocks.slice(from))
  return sections
}
