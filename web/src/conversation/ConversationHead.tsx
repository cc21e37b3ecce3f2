import { Network } from 'lucide-react'
import { lazy, type RefObject, useState } from 'react'
import type { Conversation } from '../api/types'
import { useRename } from '../app/queries'
import { IconButton } from '../ui/IconButton'
import { MenuButton } from '../ui/MenuButton'
import { titleOf } from '../ui/titles'
import { RunningHead } from './RunningHead'

const ConversationMenu = lazy(() =>
  import('../putting/ConversationMenu').then((found) => ({ default: found.ConversationMenu })),
)

interface ConversationHeadProps {
  conversation: Conversation | null
  isPanelOpen: boolean
  panelButton: RefObject<HTMLButtonElement | null>
  onPanel: () => void
}

/** The conversation's name, its map, and what can be done with it. */
export function ConversationHead({ conversation, isPanelOpen, panelButton, onPanel }: ConversationHeadProps) {
  const [isRenaming, setRenaming] = useState(false)
  const rename = useRename()
  const title = titleOf(conversation)
  if (conversation === null) return <RunningHead title={title} />

  const finish = (text: string) => {
    setRenaming(false)
    if (text.trim() !== conversation.title) rename.mutate({ id: conversation.id, title: text.trim() })
  }
  const naming = isRenaming && (
    <input
      aria-label={`Name of ${title}`}
      defaultValue={conversation.title}
      maxLength={200}
      dir="auto"
      // biome-ignore lint/a11y/noAutofocus: the reader has just asked to type here
      autoFocus
      onFocus={(event) => event.target.select()}
      onBlur={(event) => finish(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') event.currentTarget.blur()
        if (event.key === 'Escape') {
          event.preventDefault()
          event.stopPropagation()
          setRenaming(false)
        }
      }}
      className="w-full max-w-md rounded-corner border border-edge bg-raised px-2 py-1 text-center not-italic"
    />
  )
  return (
    <>
      <RunningHead
        title={title}
        naming={naming || undefined}
        tools={
          <>
            <IconButton
              ref={panelButton}
              icon={Network}
              size={16}
              label={isPanelOpen ? 'Close the panel of branches' : 'Branches and bookmarks'}
              aria-expanded={isPanelOpen}
              onClick={onPanel}
            />
            <MenuButton label="More about this conversation">
              {(menu) => (
                <ConversationMenu conversation={conversation} onRename={() => setRenaming(true)} {...menu} />
              )}
            </MenuButton>
          </>
        }
      />
      {rename.isError && (
        <p role="alert" className="border-b border-rule px-4 py-1.5 text-center text-sm text-accent">
          Not renamed. {rename.error.message}
        </p>
      )}
    </>
  )
}
