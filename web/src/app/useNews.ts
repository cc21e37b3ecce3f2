import { useEffect } from 'react'
import { api } from '../api/client'
import { currentHealth, noteHealth, onHealth } from '../api/health'
import { liveNews } from '../api/live'
import { currentReach, onReach } from '../api/reach'
import { onReturn } from '../api/returning'
import { outbox } from '../conversation/outbox'
import { forgetRuntimes } from '../conversation/useConversation'
import { CONVERSATIONS, forgetConversation, noteConversation, queryClient } from './queries'

/** Keeps the lists true to what the server tells, and sends what waited once it is back. */
export function useNews(): void {
  useEffect(() => {
    const live = liveNews()
    void outbox.start()
    const isSeen = () => document.visibilityState === 'visible'
    // Nobody reads the lists of a hidden tab: they are fetched when somebody does again.
    const refetch = () =>
      void queryClient.invalidateQueries({
        queryKey: CONVERSATIONS,
        refetchType: isSeen() ? 'active' : 'none',
      })
    const catchUp = () =>
      void queryClient.refetchQueries(
        {
          queryKey: CONVERSATIONS,
          type: 'active',
          predicate: (query) => query.state.isInvalidated,
        },
        { cancelRefetch: false },
      )
    const leave = [
      live.subscribe((event) => {
        if (event.type === 'conversation.changed') noteConversation(event.conversation)
        if (event.type === 'message.changed' && event.conversation) noteConversation(event.conversation)
        if (event.type === 'conversation.gone') forgetConversation(event.conversation_id)
        if (event.type === 'health') noteHealth(event.health)
        if (event.type === 'ready' && event.missed) refetch()
      }),
      onHealth(() => {
        if (currentHealth().state === 'available') outbox.retryAll()
      }),
      onReturn(() => {
        if (!live.isFresh()) refetch()
        live.wake()
        outbox.retryAll()
        // Another account may have come meanwhile: this page would begin again then.
        void api.me().catch(() => {})
        catchUp()
      }),
      onReach(() => {
        if (currentReach() === 'stranger') {
          // What was known is this account's; the server is asked who is here before anything is shown.
          outbox.leave()
          forgetRuntimes()
          queryClient.clear()
        }
        if (currentReach() !== 'here') return
        void outbox.start().then(outbox.retryAll)
        void queryClient.refetchQueries({ predicate: (query) => query.state.status === 'error' })
      }),
    ]
    const warn = (event: BeforeUnloadEvent) => {
      if (!outbox.isLasting && outbox.entries().length > 0) event.preventDefault()
    }
    addEventListener('beforeunload', warn)
    return () => {
      for (const each of leave) each()
      removeEventListener('beforeunload', warn)
    }
  }, [])
}
