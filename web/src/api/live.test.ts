import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerEvent } from './events'
import { Live } from './live'
import { contact, currentReach, noteReach } from './reach'
import type { StreamOptions } from './sse'
import { channels, lockManager } from './tabs.fixture'

const delta = JSON.stringify({
  conversation_id: 'a',
  message_id: 'm',
  generation_id: 'g',
  offset: 0,
  text: 'Aye',
})

function asked(options: StreamOptions | undefined): [string, string | null] {
  const { url = '', lastEventId = null } = options?.ask() ?? {}
  return [decodeURIComponent(url), lastEventId]
}

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
    expect(asked(opened[0])).toEqual(['/api/events?follow=a@3&follow=b@5', null])

    opened[0]?.onFrame({ event: 'delta', data: delta, id: 'boot/12,a@3' })
    expect(heard.map((events) => events.map((event) => event.type))).toEqual([['delta'], ['delta']])

    locks.release('talekeeper.live')
    await vi.advanceTimersByTimeAsync(100)
    expect(asked(opened[1])).toEqual([expect.stringContaining('follow=b@5'), 'boot/12'])
  })

  it('are told of a stream that is refused, which is not a server that is away', async () => {
    const locks = lockManager()
    const channel = channels()
    const opened: StreamOptions[] = []
    const open = (options: StreamOptions) => {
      opened.push(options)
      return () => {}
    }
    new Live({ locks: locks as unknown as LockManager, channel: channel(), open })
    await vi.advanceTimersByTimeAsync(100)
    for (const status of [400, 403, 404, 408, 414, 421, 422, 429, 431]) {
      noteReach('unknown')
      opened[0]?.onLost?.(status)
      expect([status, currentReach(), contact.read().isNewsRefused]).toEqual([status, 'here', true])
      opened[0]?.onOpen?.()
      expect(contact.read().isNewsRefused).toBe(false)
    }
    for (const status of [0, 500, 502, 503]) {
      opened[0]?.onLost?.(status)
      expect([status, currentReach(), contact.read().isNewsRefused]).toEqual([status, 'away', false])
      opened[0]?.onOpen?.()
    }
  })

  it('open a stream each where locks are missing', async () => {
    const opened: string[] = []
    const open = (options: StreamOptions) => {
      opened.push(decodeURIComponent(options.ask().url))
      return () => {}
    }
    new Live({ locks: undefined, channel: null, open }).follow('a', 1)
    await vi.advanceTimersByTimeAsync(100)
    expect(opened).toEqual(['/api/events?follow=a@1'])
  })
})
