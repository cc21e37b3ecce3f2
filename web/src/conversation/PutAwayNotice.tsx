import type { Conversation } from '../api/types'
import { bringBack } from '../putting/acts'
import { leftInWords } from '../putting/keeping'
import { useTrashDays } from '../storage/useStorage'
import { Button } from '../ui/Button'
import { dayOf } from '../ui/dates'

/** Where a conversation lies that is not at hand, over its text, with the way back. */
export function PutAwayNotice({ conversation }: { conversation: Conversation }) {
  const { archived_at, deleted_at } = conversation
  const days = useTrashDays()
  return (
    <div className="border-b border-rule bg-leaf">
      <div className="column flex flex-wrap items-center gap-x-4 gap-y-1 py-1.5 text-label text-quiet">
        <p className="min-w-0 flex-1 basis-60">
          {deleted_at !== null
            ? `In the trash since ${dayOf(deleted_at)}${days === undefined ? '' : `, ${leftInWords(deleted_at, days)}`}.`
            : `In the archive since ${dayOf(archived_at ?? 0)}. Saying something brings it back.`}
        </p>
        <Button className="pointer-coarse:min-h-11" onClick={() => void bringBack(conversation)}>
          {deleted_at !== null ? 'Restore' : 'Bring back'}
        </Button>
      </div>
    </div>
  )
}
