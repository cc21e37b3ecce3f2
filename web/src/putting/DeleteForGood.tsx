import { useQuery } from '@tanstack/react-query'
import { AlertDialog } from 'radix-ui'
import { api } from '../api/client'
import type { Conversation } from '../api/types'
import { wordsOf } from '../map/folding'
import { counted } from '../ui/amounts'
import { Button } from '../ui/Button'
import { dayOf } from '../ui/dates'
import { useFocusBefore } from '../ui/focusing'
import { titleOf } from '../ui/titles'
import { deleteForGood } from './acts'

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
  const giveBack = useFocusBefore()
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="fixed inset-0 z-40 bg-shade" />
        <AlertDialog.Content
          onCloseAutoFocus={giveBack}
          className="fixed inset-x-0 top-[18dvh] z-40 mx-auto w-[min(30rem,92vw)] rounded-corner border border-edge bg-page p-5 shadow-lg shadow-shade/20 outline-none"
        >
          <AlertDialog.Title className="line-clamp-3 font-tale text-xl wrap-anywhere">
            Delete “{titleOf(conversation)}” for good?
          </AlertDialog.Title>
          <AlertDialog.Description className="mt-2 text-quiet">
            {counted(conversation.message_count, 'message')} on all its branches, the last from{' '}
            {dayOf(conversation.updated_at)}. This cannot be undone.
          </AlertDialog.Description>
          {lastLine !== null && (
            <blockquote
              dir="auto"
              className="mt-3 border-l-2 border-edge pl-3 font-tale text-quiet wrap-anywhere"
            >
              {lastLine}
            </blockquote>
          )}
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button className="pointer-coarse:min-h-11">Keep it</Button>
            </AlertDialog.Cancel>
            <AlertDialog.Action asChild>
              <Button
                weight="strong"
                className="pointer-coarse:min-h-11"
                onClick={() => void deleteForGood(conversation)}
              >
                Delete for good
              </Button>
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
