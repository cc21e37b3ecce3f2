import { useSyncExternalStore } from 'react'

const wide = typeof matchMedia === 'function' ? matchMedia('(min-width: 56rem)') : null

function onChange(listener: () => void): () => void {
  wide?.addEventListener('change', listener)
  return () => wide?.removeEventListener('change', listener)
}

/** Whether there is room for the rail beside the column. */
export function useWide(): boolean {
  return useSyncExternalStore(onChange, () => wide?.matches ?? true)
}
