import { memo, useRef } from 'react'
import type { Definitions } from './definitions'
import { MarkdownBlock } from './MarkdownBlock'
import type { Section } from './sections'
import { useNear } from './useNear'

interface MarkdownSectionProps {
  section: Section
  definitions: Definitions
  own: boolean
  growing: boolean
  /** It is drawn wherever it is. */
  always: boolean
}

/** A part of a long message: drawn when it comes near the screen, a box of about its height until then. */
export const MarkdownSection = memo(function MarkdownSection({
  section,
  always,
  growing,
  ...rest
}: MarkdownSectionProps) {
  const box = useRef<HTMLDivElement>(null)
  const { isNear, height } = useNear(box, { always, guess: () => guessedHeight(section) })
  const last = section.length - 1
  return (
    <div
      ref={box}
      className={section[0]?.joins ? 'section joins' : 'section'}
      style={isNear ? undefined : { height }}
    >
      {isNear &&
        section.map((block, index) => (
          // Blocks only ever grow at the end: their place is their identity.
          // biome-ignore lint/suspicious/noArrayIndexKey: see above
          <MarkdownBlock key={index} block={block} growing={growing && index === last} {...rest} />
        ))}
    </div>
  )
}, isSame)

function isSame(before: MarkdownSectionProps, after: MarkdownSectionProps): boolean {
  return (
    before.definitions === after.definitions &&
    before.own === after.own &&
    before.growing === after.growing &&
    before.always === after.always &&
    before.section.length === after.section.length &&
    before.section.every((block, index) => block === after.section[index])
  )
}

/** Pixels, in the reading column. */
function guessedHeight(section: Section): number {
  let lines = 0
  for (const { text } of section) lines += 1 + Math.ceil(text.length / 66)
  return lines * 29
}
