/** How much the account stores, and the archiving of old conversations, which changes it. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import { withRetries } from '../api/retrying'
import { CONVERSATIONS } from '../lists/conversations'

const STORAGE = ['storage']

export function useStorage() {
  return useQuery({ queryKey: STORAGE, queryFn: api.storage, staleTime: 0 })
}

/** The days that the trash keeps a conversation; 0: until somebody deletes it. Undefined until they are known. */
export function useTrashDays(): number | undefined {
  const { data } = useQuery({ queryKey: STORAGE, queryFn: api.storage })
  return data?.trash_days
}

/** Archives every conversation without activity since a moment. */
export function useArchiveBefore() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (moment: number) => withRetries(() => api.archiveBefore(moment)),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: CONVERSATIONS })
      void client.invalidateQueries({ queryKey: STORAGE })
    },
  })
}
