import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerEvent } from './events'
import { Live } from './live'
import type { StreamOptions } from './sse'

/** Web Locks as far as an election needs them: one holder a name, the rest in line. */
function lockManager() {
  const lines = new Map<string, Array<{ run: () => Promise<unknown>; fail: (reason: Error) => void }>>()
  return {
    async request(name: string, a: unknown, b?: () => Promise<unknown>) {
      const run = (b ?? a) as () => Promise<unknown>
      return new Promise((_, fail) => {
        const line = lines.get(name) ?? []
        lines.set(name, line)
        line.push({ run, fail })
        if (line.length === 1) void run()
      })
    },
    query: async () => ({ held: [...lines.keys()].map((name) => ({ name })) }),
    /** The holder's tab is gone. */
    release(name: string) {
      const line = lines.get(name)
      line?.shift()
      void line?.[0]?.run()
    },
  }
}

function channels() {
  const all: Array<{ hear?: (message: { data: unknown }) => void }> = []
  return () => {
    const mine: { hear?: (message: { data: unknown }) => void } = {}
    all.push(mine)
    return {
      addEventListener: (_: string, hear: (message: { data: unknown }) => void) => {
        mine.hear = hear
      },
      postMessage: (data: unknown) => {
        for (const each of all) if (each !== mine) each.hear?.({ data: structuredClone(data) })
      },
    } as unknown as BroadcastChannel
  }
}

const delta = JSON.stringify({
  conversation_id: 'a',
  message_id: 'm',
  generation_id: 'g',
  offset: 0,
  text: 'Aye',
})

describe('tabs', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('share one stream, and another takes it over when the leader closes', async () => {
    const locks = lockManager()
    const channel = channels()
    const opened: StreamOptions[] = []
    const open = (options: StreamOptions) => {
      opened.push(options)
      return () => {}
    }
    const tab = () => new Live({ locks: locks as unknown as LockManager, channel: channel(), open })
    const [first, second] = [tab(), tab()]
    const heard: ServerEvent[][] = [[], []]
    first.subscribe((event) => heard[0]?.push(event))
    second.subscribe((event) => heard[1]?.push(event))
    first.follow('a', 3)
    second.follow('b', 5)
    await vi.advanceTimersByTimeAsync(100)
    expect(opened.map(({ url }) => decodeURIComponent(url))).toEqual(['/api/events?follow=a@3&follow=b@5'])

    opened[0]?.onFrame({ event: 'delta', data: delta, id: '1' })
    expect(heard.map((events) => events.map((event) => event.type))).toEqual([['delta'], ['delta']])

    locks.release('talekeeper.live')
    await vi.advanceTimersByTimeAsync(100)
    expect(decodeURIComponent(opened[1]?.url ?? '')).toContain('follow=b@5')
  })

  it('open a stream each where locks are missing', async () => {
    const opened: string[] = []
    const open = (options: StreamOptions) => {
      opened.push(decodeURIComponent(options.url))
      return () => {}
    }
    new Live({ locks: undefined, channel: null, open }).follow('a', 1)
    await vi.advanceTimersByTimeAsync(100)
    expect(opened).toEqual(['/api/events?follow=a@1'])
  })
})
