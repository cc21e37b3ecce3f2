/** The account's lists of conversations: fetched, and kept true by the news of each conversation. */
import { infiniteQueryOptions, type QueryClient, useInfiniteQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import { queryClient } from '../api/queryClient'
import type { Conversation, Shelf } from '../api/types'
import { type Pages, SHELVES, withConversation, without } from './ordering'

export const CONVERSATIONS = ['conversations']

/** The key of a shelf's list; that of the active conversations is the beginning of all. */
export function shelfKey(shelf: Shelf): readonly string[] {
  return shelf === 'active' ? CONVERSATIONS : [...CONVERSATIONS, shelf]
}

type Change = (pages: Pages | undefined) => Pages | undefined

/** The news of each conversation since its list was last fetched from the beginning: an answer may be older. */
const news: Record<Shelf, Map<string, Change>> = { active: new Map(), archived: new Map(), trash: new Map() }

function changeList(client: QueryClient, shelf: Shelf, id: string, change: Change): void {
  news[shelf].set(id, change)
  client.setQueryData<Pages>(shelfKey(shelf), change)
}

/** A shelf's list as it was fetched, with the news since applied to it. */
export function listOf(shelf: Shelf) {
  return infiniteQueryOptions({
    queryKey: shelfKey(shelf),
    queryFn: ({ pageParam }) => {
      if (pageParam === null) news[shelf].clear()
      return api.conversationsIn(shelf, pageParam)
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    select: (pages) => [...news[shelf].values()].reduce((told, change) => change(told) ?? told, pages),
  })
}

export function useConversations(shelf: Shelf = 'active') {
  return useInfiniteQuery(listOf(shelf))
}

export function noteConversation(changed: Conversation, client = queryClient): void {
  for (const shelf of SHELVES) {
    changeList(client, shelf, changed.id, (pages) => withConversation(pages, changed, shelf))
  }
}

/** A conversation that does not exist any more leaves every list. */
export function forgetConversation(id: string, client = queryClient): void {
  for (const shelf of SHELVES) {
    changeList(client, shelf, id, (pages) => without(pages, id))
  }
}
