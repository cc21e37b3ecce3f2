import { AlertDialog } from 'radix-ui'
import type { ReactNode } from 'react'
import { Button } from './Button'
import { useFocusBefore } from './focusing'

interface QuestionProps {
  title: string
  /** What comes of a yes. */
  outcome: ReactNode
  /** What the question is about. */
  children?: ReactNode
  yes: string
  onYes: () => void
  onClose: () => void
}

/** Asked before what cannot be undone. */
export function Question({ title, outcome, children, yes, onYes, onClose }: QuestionProps) {
  const giveBack = useFocusBefore()
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="fixed inset-0 z-40 bg-shade" />
        <AlertDialog.Content
          onCloseAutoFocus={giveBack}
          className="fixed inset-x-0 top-[18dvh] z-40 mx-auto w-[min(30rem,92vw)] rounded-corner border border-edge bg-page p-5 shadow-lg shadow-shade/20 outline-none"
        >
          <AlertDialog.Title className="line-clamp-3 font-tale text-heading wrap-anywhere">
            {title}
          </AlertDialog.Title>
          <AlertDialog.Description className="mt-2 text-quiet">{outcome}</AlertDialog.Description>
          {children}
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button className="pointer-coarse:min-h-11">Keep it</Button>
            </AlertDialog.Cancel>
            <AlertDialog.Action asChild>
              <Button weight="strong" className="pointer-coarse:min-h-11" onClick={onYes}>
                {yes}
              </Button>
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
