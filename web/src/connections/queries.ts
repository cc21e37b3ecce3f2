/** The connections of the account: the list, what changes it, and the models on offer. */
import { useMutation, useQueries, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api } from '../api/client'
import type { Connection, ConnectionChange, Connections, NewConnection } from '../api/types'

export const CONNECTIONS = ['connections']
export const MODELS = ['models']
const modelsOf = (id: string) => [...MODELS, id]

export function useConnections() {
  return useQuery({ queryKey: CONNECTIONS, queryFn: api.connections })
}

export function usePresets() {
  return useQuery({ queryKey: ['presets'], queryFn: api.presets, staleTime: Number.POSITIVE_INFINITY })
}

export function useAddConnection() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (made: NewConnection) => api.addConnection(made),
    onSuccess: () => client.invalidateQueries({ queryKey: CONNECTIONS }),
  })
}

export function useChangeConnection(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: ConnectionChange) => api.changeConnection(id, change),
    onSuccess: () => {
      client.removeQueries({ queryKey: modelsOf(id) })
      return client.invalidateQueries({ queryKey: CONNECTIONS })
    },
  })
}

export function useRemoveConnection(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => api.removeConnection(id),
    onSuccess: () => client.invalidateQueries({ queryKey: CONNECTIONS }),
  })
}

export function useChooseConnection() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ id, model }: { id: string; model?: string | null }) => api.chooseConnection(id, model),
    onSuccess: (connections) => client.setQueryData(CONNECTIONS, connections),
  })
}

export function useTestConnection(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => api.testConnection(id),
    onSuccess: (tested) =>
      client.setQueryData<Connections>(CONNECTIONS, (known) =>
        known === undefined
          ? undefined
          : { ...known, items: known.items.map((each) => (each.id === tested.id ? tested : each)) },
      ),
  })
}

/** Asks for the models now, which changes the connection's health. */
export function useModels(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => api.models(id),
    onSuccess: (models) => client.setQueryData(modelsOf(id), models),
    onSettled: () => client.invalidateQueries({ queryKey: CONNECTIONS }),
  })
}

/** The models of several connections, each asked once in five minutes. */
export function useModelsOfAll(connections: readonly Connection[]) {
  return useQueries({
    queries: connections.map(({ id }) => ({
      queryKey: modelsOf(id),
      queryFn: () => api.models(id),
      staleTime: 300_000,
      retry: false,
    })),
  })
}

/** A reply that has ended may have changed the health of its connection. */
export function useHealthAfterReplies(running: string | null): void {
  const client = useQueryClient()
  const before = useRef(running)
  useEffect(() => {
    if (before.current !== null && running === null) {
      void client.invalidateQueries({ queryKey: CONNECTIONS })
    }
    before.current = running
  }, [running, client])
}
