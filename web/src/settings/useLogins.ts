import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import { ApiError } from '../api/problems'

const LOGINS = ['tokens']

/** What lets somebody in as this account, newest first. */
export function useLogins() {
  return useQuery({ queryKey: LOGINS, queryFn: async () => (await api.tokens()).items, staleTime: 0 })
}

export function useEndLogin() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (id: string) => {
      try {
        await api.revokeToken(id)
      } catch (error) {
        // It has ended already, by itself or from elsewhere.
        if (!(error instanceof ApiError && error.status === 404)) throw error
      }
    },
    onSuccess: () => client.invalidateQueries({ queryKey: LOGINS }),
  })
}
