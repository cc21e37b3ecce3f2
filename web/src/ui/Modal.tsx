import { X } from 'lucide-react'
import { Dialog } from 'radix-ui'
import type { ReactNode } from 'react'
import { useFocusBefore } from './focusing'
import { IconButton } from './IconButton'

interface ModalProps {
  title: string
  /** Whether its title is read on the page, or only told to who cannot see it. */
  hasHead?: boolean
  onClose: () => void
  className?: string
  children: ReactNode
}

/** One leaf over the page; Esc, or a touch beside it, puts it away and gives the focus back. */
export function Modal({ title, hasHead = true, onClose, className = '', children }: ModalProps) {
  const giveBack = useFocusBefore()
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-shade" />
        <Dialog.Content
          aria-describedby={undefined}
          onCloseAutoFocus={giveBack}
          className={`fixed inset-x-0 top-[8dvh] z-40 mx-auto flex max-h-[84dvh] w-[min(36rem,94vw)] flex-col rounded-corner border border-edge bg-page shadow-lg shadow-shade/20 outline-none ${className}`}
        >
          {hasHead ? (
            <div className="flex items-center justify-between gap-3 border-b border-rule py-2.5 pr-2 pl-5">
              <Dialog.Title className="min-w-0 font-tale text-heading">{title}</Dialog.Title>
              <IconButton icon={X} label="Close" onClick={onClose} />
            </div>
          ) : (
            <Dialog.Title className="sr-only">{title}</Dialog.Title>
          )}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
