import { ChevronLeft, ChevronRight } from 'lucide-react'
import { IconButton } from '../ui/IconButton'

interface SiblingArrowsProps {
  id: string
  siblings: readonly string[]
  onSwitch: (id: string) => void
}

/** Moves among the messages that stand in the same place of the tree. */
export function SiblingArrows({ id, siblings, onSwitch }: SiblingArrowsProps) {
  if (siblings.length < 2) return null
  const at = siblings.indexOf(id)
  const before = siblings[at - 1]
  const after = siblings[at + 1]
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would make a form of three words
    <span role="group" aria-label="Branches" className="inline-flex items-center text-note text-faint">
      <IconButton
        icon={ChevronLeft}
        label="The branch before"
        className="!w-6 pointer-coarse:!w-11"
        disabled={before === undefined}
        onClick={() => before !== undefined && onSwitch(before)}
      />
      <span className="px-0.5">
        {at + 1}/{siblings.length}
      </span>
      <IconButton
        icon={ChevronRight}
        label="The branch after"
        className="!w-6 pointer-coarse:!w-11"
        disabled={after === undefined}
        onClick={() => after !== undefined && onSwitch(after)}
      />
    </span>
  )
}
