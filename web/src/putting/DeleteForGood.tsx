import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Conversation } from '../api/types'
import { wordsOf } from '../map/folding'
import { counted } from '../ui/amounts'
import { dayOf } from '../ui/dates'
import { Question } from '../ui/Question'
import { titleOf } from '../ui/titles'
import { deleteForGood } from './acts'
import { useGoing } from './useGoing'

/** The last thing that was said in it. */
function useLastLine({ id, leaf_id }: Conversation): string | null {
  const { data } = useQuery({
    queryKey: ['last line', id, leaf_id],
    queryFn: async () => {
      if (leaf_id === null) return null
      const page = await api.messages(id, { leaf_id, limit: 1 })
      return page.items.at(-1)?.content ?? null
    },
  })
  return data ? wordsOf(data) : null
}

/** The one question that is asked, since this cannot be undone. */
export function DeleteForGood({
  conversation,
  onClose,
}: {
  conversation: Conversation
  onClose: () => void
}) {
  const lastLine = useLastLine(conversation)
  const going = useGoing()
  return (
    <Question
      title={`Delete “${titleOf(conversation)}” for good?`}
      outcome={
        <>
          {counted(conversation.message_count, 'message')} on all its branches, the last from{' '}
          {dayOf(conversation.updated_at)}. This cannot be undone.
        </>
      }
      yes="Delete for good"
      onYes={() => void deleteForGood(conversation, going)}
      onClose={onClose}
    >
      {lastLine !== null && (
        <blockquote
          dir="auto"
          className="mt-3 border-l-2 border-edge pl-3 font-tale text-quiet wrap-anywhere"
        >
          {lastLine}
        </blockquote>
      )}
    </Question>
  )
}
