import { Archive, Pin } from 'lucide-react'
import type { Conversation } from '../api/types'
import { dayOf } from '../ui/dates'
import { titleOf } from '../ui/titles'

/** A conversation that one may go to. */
export function TitleChoice({ conversation }: { conversation: Conversation }) {
  const isAway = conversation.archived_at !== null
  return (
    <>
      <span dir="auto" className="min-w-0 flex-1 truncate">
        {titleOf(conversation)}
      </span>
      {conversation.pinned && <Pin size={13} className="text-faint" role="img" aria-label="pinned" />}
      {isAway && <Archive size={14} className="text-faint" role="img" aria-label="in the archive" />}
      <span className="text-note text-faint">{dayOf(conversation.updated_at)}</span>
    </>
  )
}
