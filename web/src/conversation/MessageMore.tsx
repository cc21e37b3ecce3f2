import { lazy } from 'react'
import type { Message } from '../api/types'
import { MenuButton } from '../ui/MenuButton'

const MessageMenu = lazy(() => import('./MessageMenu').then((found) => ({ default: found.MessageMenu })))

interface MessageMoreProps {
  message: Message
  onFacts?: (() => void) | null
}

export function MessageMore({ message, onFacts = null }: MessageMoreProps) {
  return (
    <MenuButton label="More about this message">
      {(menu) => <MessageMenu message={message} onFacts={onFacts} {...menu} />}
    </MenuButton>
  )
}
