import type { Conversation } from '../api/types'
import type { useRename } from '../lists/useRename'
import { titleOf } from '../ui/titles'
import { useLine } from '../writing/useLine'

const LONGEST = 200

interface NameFieldProps {
  conversation: Conversation
  rename: ReturnType<typeof useRename>
  /** `byKeyboard`: ended with Enter or Escape. */
  onEnd: (byKeyboard: boolean) => void
  className?: string
  noteClassName?: string
}

/** A conversation's name, written in place. Confirming the name it has makes it the person's choice, too. */
export function NameField({ conversation, rename, onEnd, className = '', noteClassName }: NameFieldProps) {
  const { id, title } = conversation
  const { field, note } = useLine({
    initial: title,
    kind: 'title',
    onDone: (text, isConfirmed) => {
      onEnd(isConfirmed)
      if (text !== title || (isConfirmed && text !== '')) rename.mutate({ id, title: text })
    },
    onCancel: () => onEnd(true),
  })
  return (
    <>
      <input
        {...field}
        aria-label={`Name of ${titleOf(conversation)}`}
        maxLength={LONGEST}
        onFocus={(event) => event.target.select()}
        className={`w-full rounded-corner border border-edge bg-raised ${className}`}
      />
      {note && <div className={noteClassName}>{note}</div>}
    </>
  )
}
