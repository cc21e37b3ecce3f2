import { useCallback, useSyncExternalStore } from 'react'

/** Whether the window is at least so wide. */
export function useRoom(width: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const media = queried(width)
      media?.addEventListener('change', listener)
      return () => media?.removeEventListener('change', listener)
    },
    [width],
  )
  return useSyncExternalStore(subscribe, () => queried(width)?.matches ?? true)
}

const asked = new Map<string, MediaQueryList>()

function queried(width: string): MediaQueryList | null {
  if (typeof matchMedia !== 'function') return null
  const media = asked.get(width) ?? matchMedia(`(min-width: ${width})`)
  asked.set(width, media)
  return media
}

/** Whether there is room for the rail beside the column. */
export function useWide(): boolean {
  return useRoom('56rem')
}
