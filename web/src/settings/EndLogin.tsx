import { AlertDialog } from 'radix-ui'
import type { Token } from '../api/types'
import { Button } from '../ui/Button'
import { useFocusBefore } from '../ui/focusing'
import { factsOf, wordsFor } from './logins'

interface EndLoginProps {
  login: Token
  onEnd: () => void
  onClose: () => void
}

/** Asked before a login is ended, since that cannot be undone. */
export function EndLogin({ login, onEnd, onClose }: EndLoginProps) {
  const words = wordsFor(login)
  const giveBack = useFocusBefore()
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="fixed inset-0 z-40 bg-shade" />
        <AlertDialog.Content
          onCloseAutoFocus={giveBack}
          className="fixed inset-x-0 top-[18dvh] z-40 mx-auto w-[min(30rem,92vw)] rounded-corner border border-edge bg-page p-5 shadow-lg shadow-shade/20 outline-none"
        >
          <AlertDialog.Title className="font-tale text-xl">{words.question}</AlertDialog.Title>
          <AlertDialog.Description className="mt-2 text-quiet">{words.outcome}</AlertDialog.Description>
          <p className="mt-3 border-l-2 border-edge pl-3 text-[0.9375rem] text-quiet">
            {words.title}: {factsOf(login).join(' · ')}
          </p>
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button className="pointer-coarse:min-h-11">Keep it</Button>
            </AlertDialog.Cancel>
            <AlertDialog.Action asChild>
              <Button weight="strong" className="pointer-coarse:min-h-11" onClick={onEnd}>
                {words.end}
              </Button>
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
