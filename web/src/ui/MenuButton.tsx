import { Ellipsis, type LucideIcon } from 'lucide-react'
import { type ReactNode, type RefObject, Suspense, useRef, useState } from 'react'
import { IconButton } from './IconButton'

/** What an open menu stands beside, and how it goes. */
export interface OpenMenu {
  anchor: RefObject<HTMLButtonElement | null>
  /** The keyboard opened it: its first entry has the focus. */
  byKeyboard: boolean
  onClose: () => void
}

interface MenuButtonProps {
  label: string
  icon?: LucideIcon
  size?: number
  className?: string
  buttonClassName?: string
  /** The menu itself, fetched when it is first wanted. */
  children: (menu: OpenMenu) => ReactNode
}

/** A button that opens a menu. */
export function MenuButton({
  label,
  icon = Ellipsis,
  size = 17,
  className = '',
  buttonClassName = '',
  children,
}: MenuButtonProps) {
  const anchor = useRef<HTMLButtonElement>(null)
  const [opened, setOpened] = useState<'no' | 'by hand' | 'by keyboard'>('no')
  const isOpen = opened !== 'no'
  return (
    <span className={`${className || 'relative'} inline-grid`} data-open={isOpen || undefined}>
      <IconButton
        ref={anchor}
        icon={icon}
        size={size}
        label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        className={buttonClassName}
        onClick={(event) => setOpened(isOpen ? 'no' : event.detail === 0 ? 'by keyboard' : 'by hand')}
      />
      {isOpen && (
        <Suspense>
          {children({ anchor, byKeyboard: opened === 'by keyboard', onClose: () => setOpened('no') })}
        </Suspense>
      )}
    </span>
  )
}
