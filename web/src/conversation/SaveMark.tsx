import { Check, CircleDashed, Clock, TriangleAlert } from 'lucide-react'
import type { OutboxEntry } from '../outbox/entries'

const marks = {
  saved: { icon: Check, word: 'Saved', title: 'Saved on the server', isLoud: false },
  saving: { icon: CircleDashed, word: 'Saving', title: 'On its way to the server', isLoud: false },
  waiting: { icon: Clock, word: 'Waiting', title: 'Goes out after the message before it', isLoud: false },
  unsaved: {
    icon: TriangleAlert,
    word: 'Not saved',
    title: 'Tried in vain; it is tried again',
    isLoud: true,
  },
  refused: { icon: TriangleAlert, word: 'Not saved', title: 'The server does not take it', isLoud: true },
} as const

/** How safe a message is, by shape and word. */
export function SaveMark({ state }: { state: OutboxEntry['state'] | 'saved' }) {
  const { icon: Icon, word, title, isLoud } = marks[state]
  return (
    <span
      className={`inline-flex items-center gap-1 text-note ${isLoud ? 'font-semibold text-accent' : 'text-faint'}`}
      title={title}
    >
      <Icon size={isLoud ? 15 : 13} aria-hidden="true" />
      <span className={state === 'saved' ? 'sr-only' : ''}>{word}</span>
    </span>
  )
}
