import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { BookmarkX } from 'lucide-react'
import { api } from '../api/client'
import type { Conversation } from '../api/types'
import { dayOf } from '../ui/dates'
import { IconButton } from '../ui/IconButton'
import { ListFailed } from '../ui/ListFailed'
import { ListLoading } from '../ui/ListLoading'
import { wordsOf } from './folding'

interface BookmarkListProps {
  conversation: Conversation
  onJump: (id: string) => void
  onRemove: (id: string) => void
}

/** The places one has marked, in the order they were said. */
export function BookmarkList({ conversation, onJump, onRemove }: BookmarkListProps) {
  const { id, seq } = conversation
  const bookmarks = useQuery({
    queryKey: ['bookmarks', id, seq],
    queryFn: () => api.bookmarks(id),
    placeholderData: keepPreviousData,
  })
  return (
    <section
      aria-label="Bookmarks"
      tabIndex={0}
      className="min-h-0 flex-1 overflow-y-auto px-4 pb-4 -outline-offset-2"
    >
      {bookmarks.isPending ? (
        <ListLoading label="Loading the bookmarks" />
      ) : bookmarks.isError ? (
        <ListFailed
          words="The bookmarks could not be loaded."
          problem={bookmarks.error.message}
          onRetry={() => void bookmarks.refetch()}
        />
      ) : bookmarks.data.items.length === 0 ? (
        <p className="pt-3 text-label leading-relaxed text-quiet">
          None yet. A message is bookmarked by its own menu, with a note if you like, and is found again here.
        </p>
      ) : (
        <ul>
          {bookmarks.data.items.map((message) => {
            const words = wordsOf(message.content) || '(no words)'
            return (
              <li key={message.id} className="flex items-start gap-1 border-b border-rule py-1.5">
                <button
                  type="button"
                  onClick={() => onJump(message.id)}
                  className="min-w-0 flex-1 rounded-corner py-1 text-left text-label hover:text-accent"
                >
                  {message.bookmark && (
                    <span dir="auto" className="block font-semibold wrap-anywhere">
                      {message.bookmark}
                    </span>
                  )}
                  <span dir="auto" className="line-clamp-2 font-tale text-quiet">
                    {words}
                  </span>
                  <span className="text-note text-faint">
                    {message.role === 'user' ? 'you' : 'reply'} · {dayOf(message.created_at)}
                  </span>
                </button>
                <IconButton
                  icon={BookmarkX}
                  size={15}
                  label={`Remove the bookmark at: ${message.bookmark || words}`}
                  onClick={() => onRemove(message.id)}
                />
              </li>
            )
          })}
        </ul>
      )}
    </section>
  )
}
