/** What was fetched is kept here, under the keys that each query names. */
import { QueryClient } from '@tanstack/react-query'
import { ApiError, isUnreachable } from './problems'

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
