import { Bookmark } from 'lucide-react'
import { type KeyboardEvent, useState } from 'react'
import type { Message } from '../api/types'
import { useTalk } from './TalkContext'

const LONGEST = 500

/** A message's bookmark and its note, which is written in place. */
export function BookmarkMark({ message }: { message: Message }) {
  const { runtime, noted, noteBookmark } = useTalk()
  const isNoting = noted === message.id
  const note = message.bookmark ?? ''
  const [written, setWritten] = useState(note)

  const finish = () => {
    noteBookmark(null)
    if (written.trim() !== note) void runtime.setBookmark(message.id, written.trim())
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== 'Escape') return
    event.preventDefault()
    if (event.key === 'Escape') {
      setWritten(note)
      noteBookmark(null)
    } else finish()
  }

  return (
    <div className="mt-1 flex items-center gap-2 text-[0.9375rem] text-quiet">
      <Bookmark size={14} className="shrink-0 fill-current text-accent" aria-hidden="true" />
      {isNoting ? (
        <input
          aria-label="Note of the bookmark"
          // biome-ignore lint/a11y/noAutofocus: the reader has just asked to type here
          autoFocus
          value={written}
          maxLength={LONGEST}
          placeholder="A note, if you like"
          dir="auto"
          onChange={(event) => setWritten(event.target.value)}
          onBlur={finish}
          onKeyDown={onKeyDown}
          className="min-w-0 max-w-sm flex-1 rounded-corner border border-edge bg-raised px-2 py-1"
        />
      ) : (
        <button
          type="button"
          dir="auto"
          title="Change the note"
          onClick={() => {
            setWritten(note)
            noteBookmark(message.id)
          }}
          className="min-w-0 rounded-corner text-left wrap-anywhere hover:text-ink"
        >
          {note || 'Bookmarked'}
        </button>
      )}
    </div>
  )
}
