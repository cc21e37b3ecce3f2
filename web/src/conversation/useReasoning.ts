import { useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'

interface Known {
  text: string
  /** Code points, as the server counts. */
  end: number
  isGrowing: boolean
}

const NOTHING: Known = { text: '', end: 0, isGrowing: false }
const PAUSE = 500

/** The text of a message's reasoning, fetched when it is looked at, and on while it grows. */
export function useReasoning(messageId: string, position: number) {
  const client = useQueryClient()
  const queryKey = ['reasoning', messageId, position]
  return useQuery({
    queryKey,
    queryFn: async (): Promise<Known> => {
      const known = client.getQueryData<Known>(queryKey) ?? NOTHING
      const next = await api.reasoning(messageId, position, known.end)
      return {
        text: known.text + next.text,
        end: known.end + Array.from(next.text).length,
        isGrowing: next.is_growing,
      }
    },
    refetchInterval: (query) => (query.state.data?.isGrowing ? PAUSE : false),
  })
}
