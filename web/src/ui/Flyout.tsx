import { Popover } from 'radix-ui'
import type { ReactNode, RefObject } from 'react'

interface FlyoutProps {
  /** The button that opened it, which it stands over. */
  anchor: RefObject<HTMLButtonElement | null>
  label: string
  onClose: () => void
  /** Its size, and how its contents are laid out. */
  className: string
  children: ReactNode
}

/** A small dialog over the button that opened it. */
export function Flyout({ anchor, label, onClose, className, children }: FlyoutProps) {
  return (
    <Popover.Root open onOpenChange={(open) => !open && onClose()}>
      <Popover.Anchor virtualRef={anchor as RefObject<HTMLButtonElement>} />
      <Popover.Portal>
        <Popover.Content
          side="top"
          align="start"
          sideOffset={6}
          collisionPadding={12}
          aria-label={label}
          onInteractOutside={(event) => {
            // The button closes what it opened.
            if (anchor.current?.contains(event.target as Node)) event.preventDefault()
          }}
          className={`z-30 max-w-[92vw] rounded-corner border border-edge bg-raised text-label shadow-lg shadow-shade/20 ${className}`}
        >
          {children}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
