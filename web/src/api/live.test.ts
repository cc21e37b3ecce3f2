import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerEvent } from './events'
import { Live } from './live'
import type { StreamOptions } from './sse'
import { channels, lockManager } from './tabs.fixture'

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
