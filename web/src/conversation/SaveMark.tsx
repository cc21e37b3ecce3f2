import { Check, CircleDashed, Clock, TriangleAlert } from 'lucide-react'
import type { OutboxEntry } from './outbox'

const marks = {
  saved: { icon: Check, word: 'Saved', isLoud: false },
  saving: { icon: CircleDashed, word: 'Saving', isLoud: false },
  waiting: { icon: Clock, word: 'Waiting', isLoud: false },
  unsaved: { icon: TriangleAlert, word: 'Not saved', isLoud: true },
  refused: { icon: TriangleAlert, word: 'Not saved', isLoud: true },
} as const

/** How safe a message is, by shape and word. */
export function SaveMark({ state }: { state: OutboxEntry['state'] | 'saved' }) {
  const { icon: Icon, word, isLoud } = marks[state]
  const isSaved = state === 'saved'
  return (
    <span
      className={`inline-flex items-center gap-1 text-sm ${isLoud ? 'font-semibold text-accent' : 'text-faint'}`}
      title={isSaved ? 'Saved on the server' : undefined}
    >
      <Icon size={isLoud ? 15 : 13} aria-hidden="true" />
      <span className={isSaved ? 'sr-only' : ''}>{word}</span>
    </span>
  )
}
