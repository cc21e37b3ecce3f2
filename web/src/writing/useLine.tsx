import {
  type ChangeEvent,
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactNode,
  useId,
  useRef,
  useState,
} from 'react'
import { inOneLine, type Kind, unkeepableIn } from './keepable'
import { mended, pasteMended } from './mending'
import { Unkeepable } from './Unkeepable'

interface LineOptions {
  initial: string
  kind: Kind
  /** Enter, or the focus goes elsewhere. `isConfirmed` with Enter: also what was not changed is meant. */
  onDone: (text: string, isConfirmed: boolean) => void
  onCancel: () => void
}

/**
 * One line that is written in place of what it names: Enter or leaving it is done, Escape takes it back.
 * While it holds what cannot be kept it stays open. `field` is for the `<input>`, `note` stands near it.
 */
export function useLine({ initial, kind, onDone, onCancel }: LineOptions) {
  const [text, setText] = useState(initial)
  const input = useRef<HTMLInputElement>(null)
  const isOver = useRef(false)
  const noteId = useId()
  const isBad = unkeepableIn(text, kind) !== null

  const end = (how: () => void) => {
    if (isOver.current) return
    isOver.current = true
    how()
  }
  const finish = (isConfirmed: boolean) => {
    if (!isBad) end(() => onDone(text.trim(), isConfirmed))
  }
  const note: ReactNode = isBad && (
    <Unkeepable
      id={noteId}
      text={text}
      kind={kind}
      onMend={(better) => {
        setText(better)
        input.current?.focus()
      }}
    />
  )
  return {
    note,
    field: {
      ref: input,
      value: text,
      dir: 'auto',
      autoFocus: true,
      'aria-invalid': isBad || undefined,
      'aria-describedby': isBad ? noteId : undefined,
      onChange: (event: ChangeEvent<HTMLInputElement>) => setText(mended(event.target, inOneLine)),
      onPaste: (event: ClipboardEvent<HTMLInputElement>) => pasteMended(event, inOneLine),
      onBlur: () => finish(false),
      onKeyDown: (event: KeyboardEvent) => {
        if (event.key !== 'Enter' && event.key !== 'Escape') return
        event.preventDefault()
        event.stopPropagation()
        if (event.key === 'Enter') finish(true)
        else end(onCancel)
      },
    },
  } as const
}
