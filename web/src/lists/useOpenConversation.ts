import { useMutation } from '@tanstack/react-query'
import { api } from '../api/client'
import { noteConversation } from './conversations'

export function useOpenConversation() {
  return useMutation({ mutationFn: api.openConversation, onSuccess: (made) => noteConversation(made) })
}
