import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Feed, type Follow, type FollowChange } from './feed'
import { ApiError } from './problems'
import type { StreamOptions } from './sse'

interface Opened {
  url: string
  lastEventId: string | null
  options: StreamOptions
}

function feed(place: string | null = null) {
  const opened: Opened[] = []
  const changes: FollowChange[] = []
  const standings: Array<number | 'open'> = []
  const told: string[] = []
  let isClosed = 0
  let refuses: unknown = null
  const made = new Feed({
    onEvent: (event) => told.push(event.type),
    onStanding: (standing) => standings.push(standing),
    place,
    open: (options) => {
      const { url, lastEventId } = options.ask()
      opened.push({ url: decodeURIComponent(url), lastEventId, options })
      return () => {
        isClosed += 1
      }
    },
    change: async (stream, change) => {
      if (refuses !== null) throw refuses
      expect(stream).toBe(`s${opened.length}`)
      changes.push(change)
    },
  })
  const frame = (event: string, data: unknown, id: string | null = null) =>
    opened.at(-1)?.options.onFrame({ event, id, data: JSON.stringify(data) })
  return {
    made,
    opened,
    changes,
    standings,
    told,
    closed: () => isClosed,
    refuse: (error: unknown) => {
      refuses = error
    },
    urls: () => opened.map(({ url }) => url),
    frame,
    /** The stream that was opened last stands. */
    ready: (missed = false) => {
      opened.at(-1)?.options.onAlive?.()
      frame('ready', { boot_id: 'b', stream_id: `s${opened.length}`, missed }, 'b/7,a@4')
    },
    following: (id: string, seq: number) => frame('following', { conversation_id: id, seq }),
    changed: (id: string, seq: number) =>
      frame('message.changed', { seq, conversation: { id }, message: { id: 'm', conversation_id: id } }),
  }
}

const shown = (follows: Follow[], at = 0, isVisible = true) => ({ follows, at, isVisible })
const soon = () => vi.advanceTimersByTimeAsync(100)

describe('the shared stream', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('follows what all tabs show, from where each knows it', async () => {
    const { made, urls } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }], 2))
    made.follow('two', shown([{ id: 'b', seq: 9 }], 1))
    await soon()
    expect(urls()).toEqual(['/api/events?follow=a@4&follow=b@9'])
  })

  it('stays when another tab opens something else: a request adds it', async () => {
    const { made, urls, closed, ready, changes } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    made.follow('two', shown([{ id: 'b', seq: 1 }]))
    await soon()
    expect(changes).toEqual([{ follow: ['b@1'], unfollow: [] }])
    expect(urls()).toHaveLength(1)
    expect(closed()).toBe(0)
  })

  it('tells again from the earlier place of a tab that comes later with less', async () => {
    const { made, ready, changed, changes, following } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    changed('a', 12)
    made.follow('two', shown([{ id: 'a', seq: 10 }]))
    await soon()
    expect(changes).toEqual([{ follow: ['a@10'], unfollow: [] }])
    following('a', 10)
    await soon()
    expect(changes).toHaveLength(1)
  })

  it('asks afresh for what a tab misses, and for nothing else', async () => {
    const { made, ready, changes, following } = feed()
    const wish = shown([
      { id: 'a', seq: 4 },
      { id: 'b', seq: 2 },
    ])
    made.follow('one', wish)
    await soon()
    ready()
    made.follow('one', wish, ['b'])
    await soon()
    expect(changes).toEqual([{ follow: ['b@2'], unfollow: [] }])
    following('b', 2)
    made.follow('one', wish)
    await soon()
    expect(changes).toHaveLength(1)
  })

  it('goes from one conversation to the next with one request', async () => {
    const { made, ready, changes } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    made.follow('one', shown([]))
    made.follow('one', shown([{ id: 'b', seq: 6 }]))
    await soon()
    expect(changes).toEqual([{ follow: ['b@6'], unfollow: ['a'] }])
  })

  it('is opened again, with everything, where no server holds it any more', async () => {
    const { made, ready, changed, refuse, urls, changes } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    changed('a', 6)
    refuse(new ApiError(404, 'not_found', 'There is no such event stream here.', false))
    made.follow('two', shown([{ id: 'b', seq: 1 }], -1))
    await soon()
    expect(urls()).toEqual(['/api/events?follow=a@4', '/api/events?follow=a@6&follow=b@1'])
    refuse(null)
    ready()
    await soon()
    expect(changes).toEqual([])
  })

  it('that is cut goes on from what was told, and from what was asked for and not yet begun', async () => {
    const { made, opened, ready, changed } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    changed('a', 9)
    made.follow('two', shown([{ id: 'a', seq: 5 }]))
    await soon()
    opened[0]?.options.onLost?.(0)
    expect(opened[0]?.options.ask()).toEqual({ url: '/api/events?follow=a%405', lastEventId: 'b/7' })
  })

  it('says up to where the account was told, also to the stream of the next leader', async () => {
    const { made, opened } = feed('b/6')
    made.follow('one', shown([]))
    await soon()
    expect(opened.map(({ url, lastEventId }) => [url, lastEventId])).toEqual([['/api/events', 'b/6']])
  })

  it('follows what is looked at, then what was looked at last, and never more than the server takes', async () => {
    const { made, ready, changes, changed, following, opened } = feed()
    for (let tab = 0; tab < 40; tab++)
      made.follow(`t${tab}`, shown([{ id: `c${tab}`, seq: tab }], tab, false))
    await soon()
    const followed = () => new Set(opened[0]?.url.match(/c\d+/g))
    expect(followed().size).toBe(32)
    expect(followed().has('c39')).toBe(true)
    expect(followed().has('c7')).toBe(false)
    ready()
    await soon()
    expect(changes).toEqual([])
    changed('c8', 20)
    made.follow('t0', shown([{ id: 'c0', seq: 0 }], 100, true))
    await soon()
    expect(changes).toEqual([{ follow: ['c0@0'], unfollow: ['c8'] }])
    following('c0', 0)
    made.leave('t39')
    await soon()
    expect(changes.at(-1)).toEqual({ follow: ['c8@20'], unfollow: ['c39'] })
  })

  it('is not opened again for a tab that leaves or says the same again', async () => {
    const { made, opened, ready, changes } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    expect(changes).toEqual([])
    made.leave('one')
    await soon()
    expect(changes).toEqual([{ follow: [], unfollow: ['a'] }])
    expect(opened).toHaveLength(1)
  })

  it('forgets tabs that are gone', async () => {
    const { made, urls } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    made.follow('two', shown([{ id: 'b', seq: 4 }]))
    made.keepOnly(new Set(['two']))
    await soon()
    expect(urls()).toEqual(['/api/events?follow=b@4'])
  })

  it('that the server ends with the login is not tried again by itself, and is told as such', async () => {
    const { made, opened, ready, frame, standings, closed } = feed()
    made.follow('one', shown([{ id: 'a', seq: 4 }]))
    await soon()
    ready()
    frame('end', { code: 'unauthenticated', detail: 'You were logged out.' })
    await soon()
    expect(standings).toEqual([401])
    expect(closed()).toBe(1)
    made.follow('two', shown([{ id: 'b', seq: 1 }]))
    await soon()
    expect(opened).toHaveLength(2)
  })

  it('that is alive is left alone when the reader comes back; a silent one is replaced', async () => {
    const { made, opened, ready } = feed()
    await soon()
    ready()
    made.wake()
    expect(opened).toHaveLength(1)
    vi.advanceTimersByTime(21_000)
    made.wake()
    expect(opened).toHaveLength(2)
    made.wake()
    expect(opened).toHaveLength(3)
  })
})
