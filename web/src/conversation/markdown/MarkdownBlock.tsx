import { memo, type ReactNode, Suspense, use } from 'react'
import { Boundary } from '../../ui/Boundary'
import type { Block } from './blocks'
import { closed } from './closing'
import type { Definitions } from './definitions'
import { drawn } from './drawing'
import { missingReferences } from './references'
import { type TreeOptions, treeOf } from './tree'

interface MarkdownBlockProps {
  block: Block
  definitions: Definitions
  own: boolean
  /** More of it is coming. */
  growing: boolean
}

/** One block of a message, drawn again only when it changes. */
export const MarkdownBlock = memo(function MarkdownBlock({ block, ...rest }: MarkdownBlockProps) {
  const { text, kind, joins } = block
  return (
    <div className={joins ? 'block joins' : 'block'}>
      {kind === 'plain' ? (
        <Plain text={text} note={joins ? null : 'Too long or too deeply nested to be formatted:'} />
      ) : (
        <Boundary of={text} fallback={() => <Unformatted text={text} />}>
          <Suspense fallback={<Plain text={text} note={null} />}>
            <Formatted text={text} {...rest} />
          </Suspense>
        </Boundary>
      )}
    </div>
  )
})

function Formatted({
  text,
  growing,
  ...options
}: TreeOptions & { text: string; growing: boolean }): ReactNode {
  const references = missingReferences(text)
  if (references !== null) use(references)
  const tree = treeOf(growing ? closed(text) : text, options)
  if (tree === null) return <Plain text={text} note="Too deeply nested to be formatted:" />
  return drawn(tree)
}

function Unformatted({ text }: { text: string }) {
  return <Plain text={text} note="This could not be formatted:" />
}

/** Text as it was written. */
function Plain({ text, note }: { text: string; note: string | null }) {
  return (
    <>
      {note !== null && <p className="info">{note}</p>}
      <p className="written" dir="auto">
        {text}
      </p>
    </>
  )
}
