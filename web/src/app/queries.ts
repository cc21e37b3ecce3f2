/** The account's lists: fetched, kept and changed in one place. */
import {
  type InfiniteData,
  QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { api } from '../api/client'
import { ApiError, isUnreachable } from '../api/problems'
import type { Conversation, Page, ProviderChange } from '../api/types'

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

export function useMe() {
  return useQuery({ queryKey: ['me'], queryFn: api.me, staleTime: Number.POSITIVE_INFINITY })
}

export function useConversations() {
  return useInfiniteQuery({
    queryKey: CONVERSATIONS,
    queryFn: ({ pageParam }) => api.conversations(pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  })
}

/** The list with one conversation in its newest state, at the place its last activity gives it. */
export function withConversation(pages: Pages | undefined, changed: Conversation): Pages | undefined {
  if (pages === undefined) return undefined
  const all = pages.pages.flatMap((page) => page.items)
  const known = all.find((each) => each.id === changed.id)
  if (known !== undefined && known.seq > changed.seq) return pages
  const rest = all.filter((each) => each.id !== changed.id)
  const at = rest.findIndex((each) => each.updated_at <= changed.updated_at)
  const place = at < 0 ? rest.length : at
  const ordered = [...rest.slice(0, place), changed, ...rest.slice(place)]
  let from = 0
  const cut = pages.pages.map((page, index) => {
    const isLast = index === pages.pages.length - 1
    const items = ordered.slice(from, isLast ? undefined : from + page.items.length)
    from += page.items.length
    return { ...page, items }
  })
  return { ...pages, pages: cut }
}

export function noteConversation(changed: Conversation, client = queryClient): void {
  client.setQueryData<Pages>(CONVERSATIONS, (pages) => withConversation(pages, changed))
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

export function useModels(name: string) {
  return useMutation({ mutationFn: () => api.models(name) })
}
