import { useEffect } from 'react'
import { api } from '../api/client'
import { health } from '../api/health'
import { liveNews } from '../api/live'
import { queryClient } from '../api/queryClient'
import { contact } from '../api/reach'
import { onReturn } from '../api/returning'
import { forgetRuntimes } from '../conversation/useConversation'
import { CONVERSATIONS, forgetConversation, noteConversation } from '../lists/conversations'
import { outbox } from '../outbox/outbox'

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
        if (event.type === 'message.changed') noteConversation(event.conversation)
        if (event.type === 'conversation.gone') forgetConversation(event.conversation_id)
        if (event.type === 'health') health.write({ state: event.state, reasons: event.reasons })
        if (event.type === 'ready' && event.missed) refetch()
      }),
      health.subscribe(() => {
        if (health.read().state === 'available') outbox.retryAll()
      }),
      onReturn(() => {
        if (!live.isFresh()) refetch()
        live.wake()
        outbox.retryAll()
        // Another account may have come meanwhile: this page would begin again then.
        void api.me().catch(() => {})
        catchUp()
      }),
      contact.subscribe(() => {
        const { reach } = contact.read()
        if (reach === 'stranger') {
          // What was known is this account's; the server is asked who is here before anything is shown.
          outbox.leave()
          forgetRuntimes()
          queryClient.clear()
        }
        if (reach !== 'here') return
        void outbox.start().then(outbox.retryAll)
        void queryClient.refetchQueries({ predicate: (query) => query.state.status === 'error' })
      }),
    ]
    const warn = (event: BeforeUnloadEvent) => {
      if (!outbox.isLasting && outbox.entries.read().length > 0) event.preventDefault()
    }
    addEventListener('beforeunload', warn)
    return () => {
      for (const each of leave) each()
      removeEventListener('beforeunload', warn)
    }
  }, [])
}
