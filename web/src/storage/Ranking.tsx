import { Link } from '@tanstack/react-router'
import type { Conversation } from '../api/types'
import { titleOf } from '../ui/titles'

/** Conversations in an order, each with the fact that puts it there. */
export function Ranking({
  title,
  items,
  fact,
}: {
  title: string
  items: Conversation[]
  fact: (one: Conversation) => string
}) {
  if (items.length === 0) return null
  return (
    <section>
      <h2 className="font-tale text-title">{title}</h2>
      <ol className="mt-3 border-b border-rule">
        {items.map((conversation) => (
          <li key={conversation.id} className="flex items-baseline gap-3 border-t border-rule py-2">
            <Link
              to="/c/$id"
              params={{ id: conversation.id }}
              dir="auto"
              className="min-w-0 flex-1 truncate rounded-corner hover:text-accent pointer-coarse:py-1.5"
            >
              {titleOf(conversation)}
            </Link>
            <span className="shrink-0 text-note text-faint">{fact(conversation)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}
