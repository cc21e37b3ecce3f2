/** The model servers that run on the machine of the server. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMe } from '../account/useMe'
import { api } from '../api/client'
import type { FoundServer } from '../api/types'
import { CONNECTIONS } from './queries'

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

/** The server that was found has a connection, which answers by default from now on. */
export function useUseFound() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ server, model }: { server: FoundServer; model: string }) => {
      const { kind, preset, base_url } = server
      const added = await api.addConnection({ kind, preset, base_url, model })
      return api.chooseConnection(added.id, model)
    },
    onSuccess: (connections) => {
      client.setQueryData(CONNECTIONS, connections)
      void client.invalidateQueries({ queryKey: FOUND })
    },
  })
}
