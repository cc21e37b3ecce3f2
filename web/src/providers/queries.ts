/** The model providers of the account: the list, and what changes it. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api } from '../api/client'
import type { ProviderChange, Providers } from '../api/types'

export const PROVIDERS = ['providers']

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

/** A reply that has ended may have changed the health of its provider. */
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
