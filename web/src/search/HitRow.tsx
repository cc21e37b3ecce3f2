import { Link } from '@tanstack/react-router'
import type { Hit } from '../api/types'
import { shelfOf } from '../lists/ordering'
import { dayOf, momentOf } from '../ui/dates'
import { titleOf } from '../ui/titles'
import { Snippet } from './Snippet'

/** One place where it was said; it leads there, on whatever branch that is. */
export function HitRow({ hit }: { hit: Hit }) {
  const { conversation, message, snippet, on_active_path } = hit
  const facts = [
    message.role === 'user' ? 'you' : message.role === 'assistant' ? 'reply' : 'note',
    !on_active_path && 'on another branch',
    shelfOf(conversation) === 'archived' && 'in the archive',
  ].filter(Boolean)
  return (
    <li className="border-t border-rule">
      <Link
        to="/c/$id"
        params={{ id: conversation.id }}
        search={{ message: message.id }}
        data-hit=""
        className="-mx-3 block rounded-corner px-3 py-3 hover:bg-wash"
      >
        <span className="flex items-baseline justify-between gap-3 text-label">
          <span dir="auto" className="truncate font-semibold">
            {titleOf(conversation)}
          </span>
          <time
            dateTime={new Date(message.created_at).toISOString()}
            title={momentOf(message.created_at)}
            className="shrink-0 text-note text-faint"
          >
            {dayOf(message.created_at)}
          </time>
        </span>
        <Snippet pieces={snippet} className="mt-1 line-clamp-3 font-tale leading-relaxed text-quiet" />
        <span className="mt-1 block text-note text-faint">{facts.join(' · ')}</span>
      </Link>
    </li>
  )
}
