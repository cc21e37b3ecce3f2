import { useEffect, useRef } from 'react'
import { type ShortcutName, shortcutOf } from './shortcuts'

/** What each shortcut does here; `false` says that it was not for us and goes on. */
export type Deeds = Partial<Record<ShortcutName, (() => unknown) | undefined>>

export function useShortcuts(deeds: Deeds): void {
  const newest = useRef(deeds)
  useEffect(() => {
    newest.current = deeds
  })
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const name = shortcutOf(event)
      const deed = name === null ? undefined : newest.current[name]
      if (deed !== undefined && deed() !== false) event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}
