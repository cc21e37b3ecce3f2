import { useRef } from 'react'
import { type Blocks, blocksOf } from './blocks'
import { definitionsIn, NO_DEFINITIONS } from './definitions'
import { MarkdownSection } from './MarkdownSection'
import { sectionsOf } from './sections'

interface MarkdownProps {
  text: string
  /** More of it is coming. */
  growing?: boolean
  /** The reader's own words, set more quietly. */
  own?: boolean
  /** Set paler: models are not told of it. */
  dimmed?: boolean
}

/** A message's text, set. It costs what is near the screen, however long the text is. */
export function Markdown({ text, growing = false, own = false, dimmed = false }: MarkdownProps) {
  const blocks = useRef<Blocks>(undefined)
  const definitions = useRef(NO_DEFINITIONS)
  if (blocks.current?.text !== text) {
    blocks.current = blocksOf(text, blocks.current)
    definitions.current = definitionsIn(text, definitions.current)
  }
  const sections = sectionsOf(blocks.current.blocks)
  const last = sections.length - 1
  return (
    <div className={`tale${own ? ' own' : ''}${growing ? ' growing' : ''}${dimmed ? ' dimmed' : ''}`}>
      {sections.map((section, index) => (
        <MarkdownSection
          // Blocks only ever grow at the end: their place is their identity.
          // biome-ignore lint/suspicious/noArrayIndexKey: see above
          key={index}
          section={section}
          definitions={definitions.current}
          own={own}
          growing={growing && index === last}
          always={last === 0 || (growing && index === last)}
        />
      ))}
    </div>
  )
}
