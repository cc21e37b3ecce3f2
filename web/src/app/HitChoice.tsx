import type { Hit } from '../api/types'
import { Snippet } from '../search/Snippet'
import { dayOf } from '../ui/dates'
import { titleOf } from '../ui/titles'

/** A message that one may go to. */
export function HitChoice({ hit }: { hit: Hit }) {
  return (
    <span className="min-w-0 flex-1">
      <Snippet pieces={hit.snippet} className="line-clamp-2 font-tale" />
      <span className="block truncate text-note text-faint">
        <span dir="auto">{titleOf(hit.conversation)}</span> · {hit.message.role === 'user' ? 'you' : 'reply'}{' '}
        · {dayOf(hit.message.created_at)}
        {!hit.on_active_path && ' · on another branch'}
      </span>
    </span>
  )
}
