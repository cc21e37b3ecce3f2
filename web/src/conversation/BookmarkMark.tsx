import { Bookmark } from 'lucide-react'
import type { Message } from '../api/types'
import { useLine } from '../writing/useLine'
import { useTalk } from './TalkContext'

const LONGEST = 500

interface NoteFieldProps {
  note: string
  /** The note as it is to be; null where nothing changes. */
  onEnd: (note: string | null) => void
}

function NoteField({ note, onEnd }: NoteFieldProps) {
  const { field, note: problem } = useLine({
    initial: note,
    kind: 'text',
    onDone: (text) => onEnd(text === note ? null : text),
    onCancel: () => onEnd(null),
  })
  return (
    <div className="min-w-0 flex-1">
      <input
        {...field}
        aria-label="Note of the bookmark"
        maxLength={LONGEST}
        placeholder="A note, if you like"
        className="w-full max-w-sm rounded-corner border border-edge bg-raised px-2 py-1"
      />
      {problem}
    </div>
  )
}

/** A message's bookmark and its note, which is written in place. */
export function BookmarkMark({ message }: { message: Message }) {
  const { runtime, noted, noteBookmark } = useTalk()
  const isNoting = noted === message.id
  const note = message.bookmark ?? ''
  const end = (written: string | null) => {
    noteBookmark(null)
    if (written !== null) void runtime.setBookmark(message.id, written)
  }

  return (
    <div
      className={`mt-1 flex gap-2 text-label text-quiet ${isNoting ? 'items-start [&>svg]:mt-2.5' : 'items-center'}`}
    >
      <Bookmark size={14} className="shrink-0 fill-current text-accent" aria-hidden="true" />
      {isNoting ? (
        <NoteField note={note} onEnd={end} />
      ) : (
        <button
          type="button"
          dir="auto"
          title="Change the note"
          onClick={() => noteBookmark(message.id)}
          className="min-w-0 rounded-corner text-left wrap-anywhere hover:text-ink"
        >
          {note || 'Bookmarked'}
        </button>
      )}
    </div>
  )
}
