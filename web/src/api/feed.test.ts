import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Feed } from './feed'
import type { StreamOptions } from './sse'

function feed() {
  const opened: StreamOptions[] = []
  const closed: string[] = []
  const made = new Feed({
    onEvent: () => {},
    onStanding: () => {},
    open: (options) => {
      opened.push(options)
      return () => closed.push(options.url)
    },
  })
  return { made, closed, opened, urls: () => opened.map(({ url }) => decodeURIComponent(url)) }
}

const changed = (id: string, seq: number) => ({
  event: 'message.changed',
  id: null,
  data: JSON.stringify({ seq, message: { id: 'm', conversation_id: id } }),
})

describe('the shared stream', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('follows what all tabs show, from where each knows it', () => {
    const { made, urls } = feed()
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    made.follow('two', [{ id: 'b', seq: 9 }], false)
    vi.advanceTimersByTime(100)
    expect(urls()).toEqual(['/api/events?follow=a@4&follow=b@9'])
  })

  it('goes on from the newest place it told when another tab opens something else', () => {
    const { made, opened, urls, closed } = feed()
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    vi.advanceTimersByTime(100)
    opened[0]?.onFrame(changed('a', 12))
    made.follow('two', [{ id: 'b', seq: 1 }], false)
    vi.advanceTimersByTime(100)
    expect(urls().at(-1)).toBe('/api/events?follow=a@12&follow=b@1')
    expect(closed).toHaveLength(1)
  })

  it('goes back for a tab that comes later with less', () => {
    const { made, opened, urls } = feed()
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    vi.advanceTimersByTime(100)
    opened[0]?.onFrame(changed('a', 12))
    made.follow('two', [{ id: 'a', seq: 10 }], false)
    vi.advanceTimersByTime(100)
    expect(urls().at(-1)).toBe('/api/events?follow=a@10')
  })

  it('is not reopened for a tab that leaves or says the same again', () => {
    const { made, opened } = feed()
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    vi.advanceTimersByTime(100)
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    made.follow('one', [], false)
    made.leave('one')
    vi.advanceTimersByTime(100)
    expect(opened).toHaveLength(1)
  })

  it('forgets tabs that are gone', () => {
    const { made, urls } = feed()
    made.follow('one', [{ id: 'a', seq: 4 }], false)
    made.follow('two', [{ id: 'b', seq: 4 }], false)
    made.keepOnly(new Set(['two']))
    vi.advanceTimersByTime(100)
    expect(urls()).toEqual(['/api/events?follow=b@4'])
  })
})
