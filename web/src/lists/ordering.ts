/** The account's lists of conversations, in the order in which the server gives them. */
import type { InfiniteData } from '@tanstack/react-query'
import type { Conversation, ConversationPage, Shelf } from '../api/types'

export type Pages = InfiniteData<ConversationPage, string | null>

export const SHELVES = ['active', 'archived', 'trash'] as const satisfies readonly Shelf[]

export function shelfOf(conversation: Conversation): Shelf {
  if (conversation.deleted_at !== null) return 'trash'
  return conversation.archived_at !== null ? 'archived' : 'active'
}

/**
 * The server's order of a list, for `sort`: pinned conversations first (among the active ones only), then
 * the latest activity. `updated_at` orders nothing: two may have the same, and clocks are set back.
 */
export function byListOrder(shelf: Shelf): (a: Conversation, b: Conversation) => number {
  return (a, b) => {
    const pins = shelf === 'active' ? Number(b.pinned) - Number(a.pinned) : 0
    return pins || b.activity - a.activity || (a.id < b.id ? 1 : -1)
  }
}

/** The list with `changed` in its place; without it where it is on another shelf. */
export function withConversation(
  pages: Pages | undefined,
  changed: Conversation,
  shelf: Shelf,
): Pages | undefined {
  if (pages === undefined) return undefined
  const all = pages.pages.flatMap((page) => page.items)
  const known = all.find((each) => each.id === changed.id)
  if (known !== undefined && known.seq > changed.seq) return pages
  const rest = all.filter((each) => each.id !== changed.id)
  if (shelfOf(changed) !== shelf) return cutLike(pages, rest)
  const compare = byListOrder(shelf)
  const place = rest.findIndex((each) => compare(changed, each) < 0)
  if (place >= 0) return cutLike(pages, rest.toSpliced(place, 0, changed))
  // Behind everything that is loaded: the page that follows brings it, if there is one.
  const isWhole = pages.pages.at(-1)?.next === null
  return cutLike(pages, isWhole ? [...rest, changed] : rest)
}

export function without(pages: Pages | undefined, id: string): Pages | undefined {
  if (pages === undefined) return undefined
  const items = pages.pages.flatMap((page) => page.items)
  return cutLike(
    pages,
    items.filter((each) => each.id !== id),
  )
}

/** `items` in pages as long as before; the last one takes what is left. */
function cutLike(pages: Pages, items: readonly Conversation[]): Pages {
  let from = 0
  const cut = pages.pages.map((page, index) => {
    const isLast = index === pages.pages.length - 1
    const some = items.slice(from, isLast ? undefined : from + page.items.length)
    from += page.items.length
    return { ...page, items: some }
  })
  return { ...pages, pages: cut }
}
