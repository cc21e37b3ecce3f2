import { Network } from 'lucide-react'
import { lazy, type RefObject, useState } from 'react'
import type { Conversation } from '../api/types'
import { NameField } from '../app/NameField'
import { useRename } from '../lists/useRename'
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

  return (
    <>
      <RunningHead
        title={title}
        naming={
          isRenaming && (
            <NameField
              conversation={conversation}
              rename={rename}
              onEnd={() => setRenaming(false)}
              className="px-2 py-1 text-center"
              noteClassName="absolute inset-x-0 top-full z-10 rounded-corner border border-edge bg-raised px-3 shadow-lg shadow-shade/20"
            />
          )
        }
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
        <p role="alert" className="border-b border-rule px-4 py-1.5 text-center text-note text-accent">
          Not renamed. {rename.error.message}
        </p>
      )}
    </>
  )
}
