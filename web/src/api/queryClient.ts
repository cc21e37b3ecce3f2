/** What was fetched is kept here, under the keys that each query names. */
import { QueryClient } from '@tanstack/react-query'
import { ApiError, isLimit, isUnreachable } from './problems'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (count, error) =>
        count < (isLimit(error) ? 5 : 2) &&
        (isUnreachable(error) || (error instanceof ApiError && error.retryable)),
      retryDelay: (count, error) =>
        isLimit(error) && error.retryAfter !== null ? error.retryAfter * 1000 : 1000 * 2 ** count,
      staleTime: 30_000,
      // Live news and the reader's return ask for what is needed.
      refetchOnWindowFocus: false,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})
