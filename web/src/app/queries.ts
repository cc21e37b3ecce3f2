/** The account's lists: fetched, kept and changed in one place. */
import {
  type InfiniteData,
  infiniteQueryOptions,
  QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api } from '../api/client'
import { ApiError, isUnreachable } from '../api/problems'
import type { Conversation, FoundServer, Page, ProviderChange, Providers, Shelf } from '../api/types'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (count, error) =>
        count < 2 && (isUnreachable(error) || (error instanceof ApiError && error.retryable)),
      staleTime: 30_000,
      // Live news and the reader's return ask for what is needed.
      refetchOnWindowFocus: false,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

type Pages = InfiniteData<Page<Conversation>, string | null>

export const CONVERSATIONS = ['conversations']
export const PROVIDERS = ['providers']
const FOUND = ['found']

export function useMe() {
  return useQuery({ queryKey: ['me'], queryFn: api.me, staleTime: Number.POSITIVE_INFINITY })
}

/** The key of a shelf's list; that of the conversations at hand is the beginning of all. */
export function shelfKey(shelf: Shelf): readonly string[] {
  return shelf === 'active' ? CONVERSATIONS : [...CONVERSATIONS, shelf]
}

export function shelfOf(conversation: Conversation): Shelf {
  if (conversation.deleted_at !== null) return 'trash'
  return conversation.archived_at !== null ? 'archived' : 'active'
}

function comesBefore(a: Conversation, b: Conversation): boolean {
  return a.pinned === b.pinned ? a.updated_at > b.updated_at : a.pinned
}

/**
 * The list of those at hand with one conversation in its newest state, at the place that its pin and its
 * last activity give it; one that was put away is not in it.
 */
export function withConversation(pages: Pages | undefined, changed: Conversation): Pages | undefined {
  if (pages === undefined) return undefined
  const all = pages.pages.flatMap((page) => page.items)
  const known = all.find((each) => each.id === changed.id)
  if (known !== undefined && known.seq > changed.seq) return pages
  const rest = all.filter((each) => each.id !== changed.id)
  const at = rest.findIndex((each) => !comesBefore(each, changed))
  const place = at < 0 ? rest.length : at
  const ordered =
    shelfOf(changed) === 'active' ? [...rest.slice(0, place), changed, ...rest.slice(place)] : rest
  let from = 0
  const cut = pages.pages.map((page, index) => {
    const isLast = index === pages.pages.length - 1
    const items = ordered.slice(from, isLast ? undefined : from + page.items.length)
    from += page.items.length
    return { ...page, items }
  })
  return { ...pages, pages: cut }
}

function without(pages: Pages | undefined, id: string): Pages | undefined {
  return pages === undefined
    ? undefined
    : {
        ...pages,
        pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((each) => each.id !== id) })),
      }
}

type Change = (pages: Pages | undefined) => Pages | undefined

/** What was told of each conversation since a list was last asked for anew: what comes may be older. */
const news: Record<Shelf, Map<string, Change>> = { active: new Map(), archived: new Map(), trash: new Map() }

function changeList(client: QueryClient, shelf: Shelf, id: string, change: Change): void {
  news[shelf].set(id, change)
  client.setQueryData<Pages>(shelfKey(shelf), change)
}

/** A shelf's list as it was fetched, with what was told since: an answer may have been read before that. */
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
  changeList(client, 'active', changed.id, (pages) => withConversation(pages, changed))
  for (const shelf of ['archived', 'trash'] as const) {
    const listed = client.getQueryData<Pages>(shelfKey(shelf))
    if (listed === undefined) continue
    const isListed = listed.pages.some((page) => page.items.some(({ id }) => id === changed.id))
    if (isListed !== (shelfOf(changed) === shelf)) {
      void client.invalidateQueries({ queryKey: shelfKey(shelf), exact: true })
    }
  }
}

/** A conversation that is there no more, in no list. */
export function forgetConversation(id: string, client = queryClient): void {
  for (const shelf of ['active', 'archived', 'trash'] as const) {
    changeList(client, shelf, id, (pages) => without(pages, id))
  }
}

export function useOpenConversation() {
  return useMutation({ mutationFn: api.openConversation, onSuccess: (made) => noteConversation(made) })
}

export function useRename() {
  return useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) => api.changeConversation(id, { title }),
    onSuccess: (changed) => noteConversation(changed),
  })
}

export function useProviders() {
  return useQuery({ queryKey: PROVIDERS, queryFn: api.providers })
}

export function useChangeProvider(name: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: ProviderChange) => api.changeProvider(name, change),
    onSuccess: () => client.invalidateQueries({ queryKey: PROVIDERS }),
  })
}

export function useChooseProvider() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ provider, model }: { provider: string; model?: string | null }) =>
      api.chooseProvider(provider, model),
    onSuccess: (providers) => client.setQueryData(PROVIDERS, providers),
  })
}

/** Once a reply has ended, how its provider is may have changed. */
export function useHealthAfterReplies(running: string | null): void {
  const client = useQueryClient()
  const before = useRef(running)
  useEffect(() => {
    if (before.current !== null && running === null) {
      void client.invalidateQueries({ queryKey: PROVIDERS })
    }
    before.current = running
  }, [running, client])
}

/** Asked only for who may know what runs on the machine of the server. */
export function useFound() {
  const me = useMe()
  return useQuery({
    queryKey: FOUND,
    queryFn: api.foundServers,
    enabled: me.data?.is_admin === true,
    staleTime: 10_000,
  })
}

/** The server that was found answers by default from now on. */
export function useUseFound() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ server, model }: { server: FoundServer; model: string }) => {
      await api.changeProvider(server.provider, { base_url: server.base_url, model })
      return api.chooseProvider(server.provider, model)
    },
    onSuccess: (providers) => {
      client.setQueryData(PROVIDERS, providers)
      void client.invalidateQueries({ queryKey: FOUND })
    },
  })
}

export function useCheckProvider(name: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => api.checkProvider(name),
    onSuccess: (checked) =>
      client.setQueryData<Providers>(PROVIDERS, (known) =>
        known === undefined
          ? undefined
          : { ...known, items: known.items.map((each) => (each.name === checked.name ? checked : each)) },
      ),
  })
}

export function useModels(name: string) {
  return useMutation({ mutationFn: () => api.models(name) })
}
