import type { Hit } from '../api/types'

/** A piece of what was said, its matches marked. */
export function Snippet({ pieces, className = '' }: { pieces: Hit['snippet']; className?: string }) {
  return (
    <span dir="auto" className={className}>
      {pieces.map(({ text, is_match }, index) =>
        is_match ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of one text, in order
          <mark key={index} className="found">
            {text}
          </mark>
        ) : (
          text
        ),
      )}
    </span>
  )
}
