import { Link } from '@tanstack/react-router'
import { PencilLine } from 'lucide-react'
import { useState } from 'react'
import type { Conversation } from '../api/types'
import { IconButton } from '../ui/IconButton'
import { titleOf } from '../ui/titles'
import { useRename } from './queries'

interface RailRowProps {
  conversation: Conversation
  onOpened: () => void
}

export function RailRow({ conversation, onOpened }: RailRowProps) {
  const [isRenaming, setRenaming] = useState(false)
  const rename = useRename()
  const title = titleOf(conversation)

  if (isRenaming) {
    const finish = (text: string) => {
      setRenaming(false)
      if (text.trim() !== conversation.title) rename.mutate({ id: conversation.id, title: text.trim() })
    }
    return (
      <li className="px-2 py-0.5">
        <input
          aria-label={`Name of ${title}`}
          defaultValue={conversation.title}
          maxLength={200}
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
          className="w-full rounded-corner border border-edge bg-raised px-2 py-1.5 text-[0.9375rem]"
        />
      </li>
    )
  }

  return (
    <li className="group relative px-2">
      <Link
        to="/c/$id"
        params={{ id: conversation.id }}
        onClick={onOpened}
        data-rail-link=""
        className="block truncate rounded-corner border-l-2 border-transparent py-1.5 pr-9 pl-2.5 text-[0.9375rem] text-quiet hover:bg-wash hover:text-ink pointer-coarse:py-2.5"
        activeProps={{
          className: '!border-accent !rounded-l-none font-semibold !text-ink bg-wash',
          'aria-current': 'page',
        }}
        title={title}
      >
        {title}
        {conversation.generation_id !== null && (
          <span className="ml-2 inline-block size-1.5 animate-pulse rounded-full bg-accent align-middle">
            <span className="sr-only">, answering</span>
          </span>
        )}
      </Link>
      <IconButton
        icon={PencilLine}
        size={15}
        label={`Rename ${title}`}
        onClick={() => setRenaming(true)}
        className="absolute inset-y-0 right-2.5 my-auto !size-7 opacity-0 focus-visible:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100"
      />
      {rename.isError && (
        <p role="alert" className="px-2.5 pb-1 text-sm text-accent">
          Not renamed. {rename.error.message}
        </p>
      )}
    </li>
  )
}
