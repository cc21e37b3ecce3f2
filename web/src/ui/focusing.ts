import { useState } from 'react'

/** For what opens over the page without a trigger of its own: when it closes, the focus goes back to where it was. */
export function useFocusBefore(): (event: Event) => void {
  const [before] = useState(() => document.activeElement)
  return (event) => {
    event.preventDefault()
    if (before instanceof HTMLElement && before.isConnected) before.focus()
  }
}
