import { useQuery } from '@tanstack/react-query'
import { Navigate } from '@tanstack/react-router'
import { api } from '../api/client'
import { LoadingColumn } from '../conversation/LoadingColumn'
import { LoadingFailed } from '../conversation/LoadingFailed'
import { noteConversation } from '../lists/conversations'

/** The account's current conversation, opened if there is none. */
export function HomePage() {
  const current = useQuery({
    queryKey: ['current'],
    queryFn: async () => {
      const conversation = await api.currentConversation()
      noteConversation(conversation)
      return conversation
    },
    staleTime: 0,
    gcTime: 0,
  })
  if (current.isSuccess) return <Navigate to="/c/$id" params={{ id: current.data.id }} replace />
  if (current.isError)
    return <LoadingFailed problem={current.error.message} onRetry={() => void current.refetch()} />
  return <LoadingColumn />
}
