import { ArrowUp, Square, X } from 'lucide-react'
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from 'react'
import { isShortcut } from '../keyboard/shortcuts'
import { keepDraft, keptDraft } from '../outbox/drafts'
import { IconButton } from '../ui/IconButton'
import { sendable, unkeepableIn, withLineEnds } from '../writing/keepable'
import { mended, pasteMended } from '../writing/mending'
import { Unkeepable } from '../writing/Unkeepable'
import type { Editing } from './TalkContext'

interface ComposerProps {
  conversationId: string
  /** Whose draft it is; null, as `isLoading`, while nothing can be written. */
  account: string | null
  isLoading: boolean
  isAnswering: boolean
  editing: Editing | null
  /** Whether it was taken; what was not stays in the composer. */
  onSend: (text: string) => boolean
  onStop: () => void
  onLeaveEditing: () => void
}

export function Composer(props: ComposerProps) {
  const { conversationId, account, isAnswering, editing, onSend, onStop, onLeaveEditing } = props
  const isLoading = props.isLoading || account === null
  const [text, setText] = useState(
    () => editing?.content ?? (isLoading ? '' : keptDraft(account, conversationId)),
  )
  const area = useRef<HTMLTextAreaElement>(null)
  const noteId = useId()
  const content = sendable(text)
  const isBad = unkeepableIn(text) !== null
  const isReady = content !== '' && !isBad && !isLoading

  // biome-ignore lint/correctness/useExhaustiveDependencies: its height follows from the text in it
  useLayoutEffect(() => {
    const element = area.current
    if (element === null) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }, [text])

  // On a phone, focus would bring up the keyboard over what one came to read.
  useEffect(() => {
    const element = area.current
    if (isLoading || element === null || (editing === null && matchMedia?.('(hover: none)').matches)) return
    element.focus()
    element.setSelectionRange(element.value.length, element.value.length)
  }, [isLoading, editing])

  const write = (next: string) => {
    setText(next)
    if (editing === null && account !== null) keepDraft(account, conversationId, next)
  }

  const send = () => {
    // The message stands in the list, marked, before the text leaves the composer. The draft that is kept
    // of it goes when the browser has the message on its disk.
    if (isReady && onSend(content)) setText('')
  }

  const onKeyDown = (event: KeyboardEvent) => {
    const sends = isShortcut(event, 'send') || (editing !== null && isShortcut(event, 'regenerate'))
    if (sends) {
      event.preventDefault()
      send()
    }
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      {editing !== null && (
        <div className="flex items-center justify-between text-label text-quiet">
          <span>Another version of what you said. The first one stays.</span>
          <IconButton icon={X} label="Leave editing" onClick={onLeaveEditing} />
        </div>
      )}
      <Unkeepable
        id={noteId}
        text={text}
        onMend={(better) => {
          write(better)
          area.current?.focus()
        }}
      />
      <div className="flex items-end gap-1 rounded-corner border border-edge bg-raised p-1.5 focus-within:border-accent focus-within:outline focus-within:outline-accent/40">
        <textarea
          ref={area}
          data-composer=""
          dir="auto"
          value={text}
          rows={1}
          disabled={isLoading}
          aria-label={editing === null ? 'Your message' : 'Your message, edited'}
          placeholder={isLoading ? 'Loading the conversation…' : 'What happens next?'}
          aria-invalid={isBad || undefined}
          aria-describedby={isBad ? noteId : undefined}
          onChange={(event) => write(mended(event.target, withLineEnds))}
          onPaste={(event) => pasteMended(event, withLineEnds)}
          onKeyDown={onKeyDown}
          enterKeyHint="send"
          className="max-h-[40dvh] min-h-9 min-w-0 flex-1 resize-none bg-transparent px-2 py-1.5 font-tale text-body leading-normal outline-none!"
        />
        {isAnswering && (
          <IconButton
            icon={Square}
            size={15}
            label="Stop the reply (Esc)"
            onClick={onStop}
            className="!size-9 !text-accent pointer-coarse:!size-11"
          />
        )}
        <button
          type="submit"
          aria-label="Send"
          title="Send (Enter)"
          disabled={!isReady}
          className="grid size-9 shrink-0 place-items-center rounded-corner pointer-coarse:size-11 bg-accent text-on-accent hover:opacity-90 disabled:bg-transparent disabled:text-faint disabled:opacity-60"
        >
          <ArrowUp size={19} aria-hidden="true" />
        </button>
      </div>
    </form>
  )
}
