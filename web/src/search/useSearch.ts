import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { SearchAsked } from '../api/types'

/** What was said, newest first; while another question is answered, the answer before stays. */
export function useSearch(asked: SearchAsked, limit = 20) {
  return useInfiniteQuery({
    queryKey: ['search', asked, limit],
    queryFn: ({ pageParam }) => api.search(asked, pageParam, limit),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    enabled: asked.q !== '',
    placeholderData: asked.q === '' ? undefined : keepPreviousData,
    staleTime: 2_000,
  })
}
