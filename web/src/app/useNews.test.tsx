import { QueryObserver } from '@tanstack/react-query'
import { renderHook } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerEvent } from '../api/events'
import { queryClient } from '../api/queryClient'
import { CONVERSATIONS } from '../lists/conversations'
import { useNews } from './useNews'

const live = vi.hoisted(() => ({
  tell: (_: ServerEvent) => {},
  isFresh: true,
  wake: vi.fn(),
}))

vi.mock('../api/live', () => ({
  liveNews: () => ({
    subscribe: (listener: (event: ServerEvent) => void) => {
      live.tell = listener
      return () => {}
    },
    isFresh: () => live.isFresh,
    wake: live.wake,
  }),
}))
vi.mock('../outbox/outbox', () => ({
  outbox: {
    start: async () => {},
    retryAll: () => {},
    leave: () => {},
    isLasting: true,
    entries: { read: () => [] },
  },
}))

let leave = () => {}

const ready = (missed: boolean): ServerEvent => ({ type: 'ready', boot_id: 'b', stream_id: 's', missed })

/** A list that is on screen, and how often it was fetched since. */
function aList() {
  const fetched = vi.fn(async () => ({ pages: [], pageParams: [] }))
  const observer = new QueryObserver(queryClient, {
    queryKey: CONVERSATIONS,
    queryFn: fetched,
    initialData: { pages: [], pageParams: [] },
    staleTime: Number.POSITIVE_INFINITY,
  })
  leave = observer.subscribe(() => {})
  return fetched
}

function look(state: 'visible' | 'hidden') {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state)
  document.dispatchEvent(new Event('visibilitychange'))
}

describe('the lists of a tab', () => {
  beforeEach(() => {
    live.isFresh = true
    renderHook(() => useNews())
  })
  afterEach(() => {
    leave()
    vi.restoreAllMocks()
    queryClient.clear()
  })

  it('are fetched for a new stream only where something was missed', async () => {
    const fetched = aList()
    live.tell(ready(false))
    await Promise.resolve()
    expect(fetched).not.toHaveBeenCalled()
    live.tell(ready(true))
    await vi.waitFor(() => expect(fetched).toHaveBeenCalledOnce())
  })

  it('of a hidden one are fetched when it is looked at again, and once', async () => {
    const fetched = aList()
    look('hidden')
    live.tell(ready(true))
    live.tell(ready(true))
    await Promise.resolve()
    expect(fetched).not.toHaveBeenCalled()
    look('visible')
    await vi.waitFor(() => expect(fetched).toHaveBeenCalledOnce())
    look('hidden')
    look('visible')
    await Promise.resolve()
    expect(fetched).toHaveBeenCalledOnce()
  })

  it('are fetched when the reader comes back and the leading tab is silent', async () => {
    const fetched = aList()
    look('hidden')
    look('visible')
    await Promise.resolve()
    expect(fetched).not.toHaveBeenCalled()
    live.isFresh = false
    look('hidden')
    look('visible')
    await vi.waitFor(() => expect(fetched).toHaveBeenCalled())
    expect(live.wake).toHaveBeenCalled()
  })
})
