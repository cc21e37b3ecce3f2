/** The account's lists: fetched, kept and changed in one place. */
import {
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
import type { Conversation, FoundServer, ProviderChange, Providers, Shelf } from '../api/types'
import { type Pages, SHELVES, withConversation, without } from './ordering'

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
  for (const shelf of SHELVES) {
    changeList(client, shelf, changed.id, (pages) => withConversation(pages, changed, shelf))
  }
}

/** A conversation that is there no more, in no list. */
export function forgetConversation(id: string, client = queryClient): void {
  for (const shelf of SHELVES) {
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
