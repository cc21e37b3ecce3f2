/** Small choices of the reader, kept in this browser. */
import { useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

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
  for (const listener of [...listeners]) listener()
}

function onKept(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('storage', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('storage', listener)
  }
}

export function useKept(key: string): string | null {
  return useSyncExternalStore(onKept, () => kept(key))
}
