import { type RefObject, useCallback, useRef, useState } from 'react'
import { keep, useKept } from '../ui/kept'
import { useRoom } from '../ui/useWide'

export interface SidePanel {
  /** There is room for it beside the text; else it is a sheet over the text. */
  isRoomy: boolean
  isOpen: boolean
  /** Opens or closes it; closed, its button has the focus. */
  turn: (open: boolean) => void
  leaveSheet: () => void
  button: RefObject<HTMLButtonElement | null>
}

/** The panel of branches: beside the text it stays from one conversation to the next, over it it does not. */
export function useSidePanel(): SidePanel {
  const isRoomy = useRoom('76rem')
  const isKeptOpen = useKept('panel') === 'open'
  const [isSheetOpen, setSheetOpen] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const turn = (open: boolean) => {
    if (isRoomy) keep('panel', open ? 'open' : null)
    else setSheetOpen(open)
    if (!open) button.current?.focus()
  }
  const leaveSheet = useCallback(() => setSheetOpen(false), [])
  return { isRoomy, isOpen: isRoomy ? isKeptOpen : isSheetOpen, turn, leaveSheet, button }
}
