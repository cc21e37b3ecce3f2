import { Dialog } from 'radix-ui'
import type { ReactNode } from 'react'
import { useFocusBefore } from './focusing'

interface SheetProps {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  side?: 'left' | 'right'
  children: ReactNode
}

const sides = {
  left: 'left-0 w-[min(20rem,86vw)]',
  right: 'right-0 w-[min(24rem,92vw)]',
}

/** A leaf that slides over the page where there is no room beside it. */
export function Sheet({ open, onOpenChange, title, side = 'left', children }: SheetProps) {
  const giveBack = useFocusBefore()
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-20 bg-shade" />
        <Dialog.Content
          aria-describedby={undefined}
          onCloseAutoFocus={giveBack}
          className={`fixed inset-y-0 z-20 flex flex-col bg-leaf pb-[env(safe-area-inset-bottom)] outline-none ${sides[side]}`}
        >
          <Dialog.Title className="sr-only">{title}</Dialog.Title>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
