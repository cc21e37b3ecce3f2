/** The models on the server's own machine: the list, and what changes it. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useMe } from '../account/useMe'
import { api } from '../api/client'
import type { LocalModel, LocalModels } from '../api/types'
import { CONNECTIONS, MODELS } from './queries'

const LOCAL_MODELS = ['local models']
const PROGRESS_MILLIS = 1000

const UNDER_WAY: ReadonlySet<LocalModel['state']> = new Set(['waiting', 'downloading', 'checking', 'trying'])

export function isUnderWay(model: LocalModel): boolean {
  return UNDER_WAY.has(model.state)
}

/** Fetched for administrators only, and again each second while a model is being added. */
export function useLocalModels() {
  const me = useMe()
  const client = useQueryClient()
  const query = useQuery({
    queryKey: LOCAL_MODELS,
    queryFn: api.localModels,
    enabled: me.data?.is_admin === true,
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.items.some(isUnderWay) ? PROGRESS_MILLIS : false),
  })
  const kept = query.data?.items.filter((each) => each.state === 'kept').map((each) => each.name)
  const names = kept?.join(' ')
  useEffect(() => {
    if (names === undefined) return
    // What can answer has changed.
    void client.invalidateQueries({ queryKey: CONNECTIONS })
    void client.invalidateQueries({ queryKey: MODELS })
  }, [names, client])
  return query
}

export function useAddLocalModel() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: api.addLocalModel,
    onSuccess: (models) => client.setQueryData<LocalModels>(LOCAL_MODELS, models),
  })
}

export function useStopLocalModel() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: api.stopLocalModel,
    onSettled: () => client.invalidateQueries({ queryKey: LOCAL_MODELS }),
  })
}

export function useRemoveLocalModel() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: api.removeLocalModel,
    onSettled: () => client.invalidateQueries({ queryKey: LOCAL_MODELS }),
  })
}
