import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import type { Message } from '../api/types'
import { lasting } from '../ui/amounts'
import { ReasoningText } from './ReasoningText'
import { isRunning } from './state'

type Part = Message['parts'][number]
type ReasoningPart = Extract<Part, { kind?: 'reasoning' }>

function isReasoning(part: Part): part is ReasoningPart {
  return part.kind === 'reasoning'
}

function labelOf(part: ReasoningPart, isThinking: boolean): string {
  if (isThinking) return 'Thinking'
  return (part.ms ?? 0) < 1000 ? 'Thought first' : `Thought for ${lasting(part.ms ?? 0)}`
}

function Fold({ message, position, label }: { message: Message; position: number; label: string }) {
  const [isOpen, setIsOpen] = useState(false)
  return (
    <div className="mb-2">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
        className="-ml-1 flex items-center gap-1 rounded-corner px-1 text-label text-faint hover:text-ink pointer-coarse:min-h-11"
      >
        <ChevronRight
          size={15}
          aria-hidden="true"
          className={`shrink-0 transition-transform motion-reduce:transition-none ${isOpen ? 'rotate-90' : ''}`}
        />
        {label}
      </button>
      {isOpen && <ReasoningText messageId={message.id} position={position} />}
    </div>
  )
}

/** What the model thought for a reply, folded: its text is fetched when somebody opens it. */
export function Reasoning({ message, hasWords }: { message: Message; hasWords: boolean }) {
  const last = message.parts.length - 1
  return message.parts.map((part, position) => {
    if (!isReasoning(part)) return null
    const isThinking = isRunning(message) && !hasWords && position === last && part.ms === null
    const label = labelOf(part, isThinking)
    // biome-ignore lint/suspicious/noArrayIndexKey: a part is known by its position
    return <Fold key={position} message={message} position={position} label={label} />
  })
}
