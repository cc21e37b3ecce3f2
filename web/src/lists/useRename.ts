import { useMutation } from '@tanstack/react-query'
import { api } from '../api/client'
import { noteConversation } from './conversations'

export function useRename() {
  return useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) => api.changeConversation(id, { title }),
    onSuccess: (changed) => noteConversation(changed),
  })
}
