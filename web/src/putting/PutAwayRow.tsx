import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Conversation } from '../api/types'
import { useTrashDays } from '../storage/useStorage'
import { counted } from '../ui/amounts'
import { Button } from '../ui/Button'
import { dayOf } from '../ui/dates'
import { titleOf } from '../ui/titles'
import { bringBack, moveToTrash } from './acts'
import { DeleteForGood } from './DeleteForGood'
import { leftInWords } from './keeping'
import { useGoing } from './useGoing'

/** One that was put away: what it is, and the way back. */
export function PutAwayRow({ conversation }: { conversation: Conversation }) {
  const [isAsking, setAsking] = useState(false)
  const { id, archived_at, deleted_at, message_count } = conversation
  const days = useTrashDays()
  const going = useGoing()
  const title = titleOf(conversation)
  const since = deleted_at ?? archived_at
  const facts = [
    counted(message_count, 'message'),
    since !== null && `${deleted_at === null ? 'archived' : 'deleted'} ${dayOf(since)}`,
    deleted_at !== null && days !== undefined && leftInWords(deleted_at, days),
  ].filter(Boolean)
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-rule py-3 first:border-t-0">
      <div className="min-w-0 flex-1 basis-64">
        <Link
          to="/c/$id"
          params={{ id }}
          dir="auto"
          className="block truncate rounded-corner font-semibold hover:text-accent"
        >
          {title}
        </Link>
        <p className="text-note text-faint">{facts.join(' · ')}</p>
      </div>
      <div className="flex gap-2">
        <Button
          className="pointer-coarse:min-h-11"
          aria-label={`${deleted_at === null ? 'Bring back' : 'Restore'} ${title}`}
          onClick={() => void bringBack(conversation)}
        >
          {deleted_at === null ? 'Bring back' : 'Restore'}
        </Button>
        <Button
          className="pointer-coarse:min-h-11"
          aria-label={`Delete ${title}${deleted_at === null ? '' : ' for good'}`}
          onClick={() => (deleted_at === null ? void moveToTrash(conversation, going) : setAsking(true))}
        >
          {deleted_at === null ? 'Delete' : 'Delete for good'}
        </Button>
      </div>
      {isAsking && <DeleteForGood conversation={conversation} onClose={() => setAsking(false)} />}
    </li>
  )
}
