import { useRouter } from '@tanstack/react-router'
import { useMemo } from 'react'

/** Whether a conversation is open, and the ways from it. */
export interface Going {
  isAt: (id: string) => boolean
  to: (id: string) => Promise<void>
  home: () => Promise<void>
}

/**
 * The router as the acts need it. They take it from their component: the pages of the route tree reach the
 * acts, so an act that imported the tree would close a circle of imports.
 */
export function useGoing(): Going {
  const router = useRouter()
  return useMemo(
    () => ({
      isAt: (id) => router.state.location.pathname === `/c/${id}`,
      to: (id) => router.navigate({ to: '/c/$id', params: { id } }),
      home: () => router.navigate({ to: '/' }),
    }),
    [router],
  )
}
