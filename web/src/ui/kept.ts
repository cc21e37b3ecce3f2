/** Small choices of the reader, kept in this browser. */
import { Listeners } from '../stores/listeners'
import { useStore } from '../stores/store'

const changes = new Listeners()

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(`talekeeper.${key}`)
  } catch {
    return null
  }
}

export function keep(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`talekeeper.${key}`)
    else localStorage.setItem(`talekeeper.${key}`, value)
  } catch {
    // Without storage the choice holds until the page is left.
  }
  changes.tell()
}

function onKept(listener: () => void): () => void {
  const leave = changes.add(listener)
  // Another tab has changed it.
  addEventListener('storage', listener)
  return () => {
    leave()
    removeEventListener('storage', listener)
  }
}

export function useKept(key: string): string | null {
  return useStore({ read: () => kept(key), subscribe: onKept })
}
