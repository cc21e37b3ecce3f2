import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Conversation, Shelf } from '../api/types'
import { CONVERSATIONS } from './conversations'

const PAGE = 500
/** More pages than anybody has; an endless list is a fault. */
const MOST_PAGES = 40

async function everyOn(shelf: Shelf): Promise<Conversation[]> {
  const found: Conversation[] = []
  let cursor: string | null = null
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const page: { items: Conversation[]; next: string | null } = await api.conversationsIn(
      shelf,
      cursor,
      PAGE,
    )
    found.push(...page.items)
    cursor = page.next
    if (cursor === null) break
  }
  return found
}

/** Every conversation but those in the trash, for whoever looks for a title. */
export function useTitles() {
  return useQuery({
    queryKey: [...CONVERSATIONS, 'titles'],
    queryFn: async () => [...(await everyOn('active')), ...(await everyOn('archived'))],
    staleTime: 5_000,
  })
}
