/** The model servers that run on the machine of the server. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMe } from '../account/useMe'
import { api } from '../api/client'
import type { FoundServer } from '../api/types'
import { PROVIDERS } from './queries'

const FOUND = ['found']

/** Fetched for administrators only: others may not know what runs on that machine. */
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
