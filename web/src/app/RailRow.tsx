import { Link } from '@tanstack/react-router'
import { Pin } from 'lucide-react'
import { lazy, useRef, useState } from 'react'
import type { Conversation } from '../api/types'
import { useRename } from '../lists/useRename'
import { MenuButton } from '../ui/MenuButton'
import { titleOf } from '../ui/titles'
import { NameField } from './NameField'

const ConversationMenu = lazy(() =>
  import('../putting/ConversationMenu').then((found) => ({ default: found.ConversationMenu })),
)

interface RailRowProps {
  conversation: Conversation
  /** The first under the pinned ones, which a rule sets off. */
  isAfterPinned: boolean
  onOpened: () => void
}

export function RailRow({ conversation, isAfterPinned, onOpened }: RailRowProps) {
  const [isRenaming, setRenaming] = useState(false)
  const row = useRef<HTMLLIElement>(null)
  const rename = useRename()
  const title = titleOf(conversation)

  if (isRenaming) {
    const end = (byKeyboard: boolean) => {
      setRenaming(false)
      if (byKeyboard) requestAnimationFrame(() => row.current?.querySelector('a')?.focus())
    }
    return (
      <li ref={row} className="px-2 py-0.5">
        <NameField
          conversation={conversation}
          rename={rename}
          onEnd={end}
          className="px-2 py-1.5 text-label"
        />
      </li>
    )
  }

  return (
    <li
      ref={row}
      className={`group relative px-2 ${isAfterPinned ? 'mt-1.5 pt-1.5 before:absolute before:inset-x-4.5 before:top-0 before:border-t before:border-rule' : ''}`}
    >
      <Link
        to="/c/$id"
        params={{ id: conversation.id }}
        onClick={onOpened}
        data-rail-link=""
        className="flex items-center rounded-corner border-l-2 border-transparent py-1.5 pr-9 pl-2.5 text-label text-quiet hover:bg-wash hover:text-ink pointer-coarse:min-h-11 pointer-coarse:pr-12"
        activeOptions={{ includeSearch: false }}
        activeProps={{
          className: '!border-accent !rounded-l-none font-semibold !text-ink bg-wash',
          'aria-current': 'page',
        }}
        title={title}
      >
        {conversation.pinned && (
          <Pin
            size={13}
            strokeWidth={1.75}
            className="mr-1.5 shrink-0 text-faint"
            role="img"
            aria-label="Pinned:"
          />
        )}
        <span dir="auto" className="truncate">
          {title}
        </span>
        {conversation.generation_id !== null && (
          <span className="ml-2 inline-block size-1.5 shrink-0 animate-pulse rounded-full bg-accent">
            <span className="sr-only">, answering</span>
          </span>
        )}
      </Link>
      <MenuButton
        label={`More about ${title}`}
        className="absolute right-2.5 bottom-0 my-0.5 pointer-coarse:my-0"
        buttonClassName="!size-7 pointer-coarse:!size-11 opacity-0 focus-visible:opacity-100 aria-expanded:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100"
      >
        {(menu) => (
          <ConversationMenu conversation={conversation} onRename={() => setRenaming(true)} {...menu} />
        )}
      </MenuButton>
      {rename.isError && (
        <p role="alert" className="px-2.5 pb-1 text-note text-accent">
          Not renamed. {rename.error.message}
        </p>
      )}
    </li>
  )
}
