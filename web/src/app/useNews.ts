import { useEffect } from 'react'
import { liveNews } from '../api/live'
import { currentReach, onReach } from '../api/reach'
import { onReturn } from '../api/returning'
import { outbox } from '../conversation/outbox'
import { CONVERSATIONS, noteConversation, queryClient } from './queries'

/** Keeps the lists true to what the server tells, and sends what waited once it is back. */
export function useNews(): void {
  useEffect(() => {
    const live = liveNews()
    const refetch = () => void queryClient.invalidateQueries({ queryKey: CONVERSATIONS })
    const leave = [
      live.subscribe((event) => {
        if (event.type === 'conversation.changed') noteConversation(event.conversation)
        if (event.type === 'message.changed' && event.conversation) noteConversation(event.conversation)
        if (event.type === 'ready') refetch()
      }),
      onReturn(() => {
        live.wake()
        refetch()
      }),
      onReach(() => {
        if (currentReach() !== 'here') return
        outbox.retryAll()
        void queryClient.refetchQueries({ predicate: (query) => query.state.status === 'error' })
      }),
    ]
    const warn = (event: BeforeUnloadEvent) => {
      if (outbox.entries().length > 0) event.preventDefault()
    }
    addEventListener('beforeunload', warn)
    return () => {
      for (const each of leave) each()
      removeEventListener('beforeunload', warn)
    }
  }, [])
}
