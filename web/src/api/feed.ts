/**
 * The one stream of this browser, held by whichever tab leads.
 *
 * Tabs say which conversations they show and up to which place they know them. A request changes what the
 * open stream follows; where the server does not hold that stream any more, another is opened. A stream
 * follows a limited number of conversations: those that are looked at, then those looked at last. Of the
 * rest the account's own events tell that something happened, and they are followed again, from the place
 * at which they were left, as soon as there is room.
 *
 * What a tab is told twice changes nothing, what it is never told would be missing: so everything begins
 * at the earliest place that any tab needs.
 */
import { BASE } from './base'
import { api } from './client'
import { parsedEvent, type ServerEvent } from './events'
import { ApiError } from './problems'
import { type Frame, openStream } from './sse'

/** As many as the server takes (`MOST_FOLLOWED` in `api/events.py`). */
const MOST = 32
/** The server says something every 15 seconds. */
const FRESH = 20_000

export interface Follow {
  id: string
  seq: number
}

/** What one tab shows, whether it is looked at, and when it was last. */
export interface Wish {
  follows: readonly Follow[]
  isVisible: boolean
  at: number
}

export interface FollowChange {
  follow: string[]
  unfollow: string[]
}

interface FeedOptions {
  /** `place` is how far the account's events were told. */
  onEvent: (event: ServerEvent, place: string | null) => void
  onStanding: (status: number | 'open') => void
  open?: typeof openStream | undefined
  change?: ((stream: string, change: FollowChange) => Promise<unknown>) | undefined
  /** How far the account's events were told to an earlier leader. */
  place?: string | null
  /** Wishes that come together are answered by one request. */
  gather?: number
}

export class Feed {
  private readonly wishes = new Map<string, Wish>()
  /** What the stream follows, by the newest place it told. */
  private carried = new Map<string, number>()
  /** What must be told from an earlier place than the stream has reached. */
  private readonly needed = new Map<string, number>()
  /** What the server was asked to follow on the open stream and has not begun yet. */
  private readonly asked = new Map<string, number>()
  private stream: string | null = null
  private place: string | null
  private heard = 0
  private isChanging = false
  private close: (() => void) | null = null
  private timer: ReturnType<typeof setTimeout> | null = null

  constructor(private readonly options: FeedOptions) {
    this.place = options.place ?? null
    this.changeSoon()
  }

  /** A tab shows these conversations now; those in `again` are told afresh, running text included. */
  follow(tab: string, wish: Wish, again: readonly string[] = []): void {
    const before = new Set(this.wishes.get(tab)?.follows.map((each) => each.id))
    this.wishes.set(tab, wish)
    for (const { id, seq } of wish.follows) {
      if (!before.has(id) || again.includes(id)) this.need(id, seq)
    }
    this.changeSoon()
  }

  leave(tab: string): void {
    if (this.wishes.delete(tab)) this.changeSoon()
  }

  /** Forget tabs that are gone without having said so. */
  keepOnly(tabs: ReadonlySet<string>): void {
    for (const tab of [...this.wishes.keys()]) if (!tabs.has(tab)) this.leave(tab)
  }

  /** The network or the reader is back: a stream that may be dead is not waited for. */
  wake(): void {
    if (this.stream === null || Date.now() - this.heard > FRESH) this.reopen()
  }

  end(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.close?.()
    this.close = null
    this.stream = null
    this.asked.clear()
  }

  private need(id: string, seq: number): void {
    this.needed.set(id, Math.min(seq, this.needed.get(id) ?? seq))
  }

  private changeSoon(): void {
    if (this.timer !== null) return
    this.timer = setTimeout(() => {
      this.timer = null
      if (this.close === null) this.reopen()
      else void this.change()
    }, this.options.gather ?? 30)
  }

  /** Up to `MOST` conversations with the place from which each is to be told. */
  private chosen(): Map<string, number> {
    const byRank = [...this.wishes.values()].sort(
      (a, b) => Number(b.isVisible) - Number(a.isVisible) || b.at - a.at,
    )
    const places = new Map<string, number>()
    for (const { follows } of byRank) {
      for (const { id, seq } of follows) places.set(id, Math.min(seq, places.get(id) ?? seq))
    }
    return new Map(
      [...places].slice(0, MOST).map(([id, seq]) => {
        const needed = this.needed.get(id)
        const told = this.carried.get(id) ?? needed ?? seq
        return [id, Math.min(told, needed ?? told)]
      }),
    )
  }

  private reopen(): void {
    this.end()
    let opening = new Map<string, number>()
    this.close = (this.options.open ?? openStream)({
      ask: () => {
        this.stream = null
        this.asked.clear()
        opening = this.chosen()
        const follows = [...opening].map(([id, seq]) => `follow=${encodeURIComponent(`${id}@${seq}`)}`)
        const query = follows.length > 0 ? `?${follows.join('&')}` : ''
        return { url: `${BASE}/api/events${query}`, lastEventId: this.place }
      },
      onOpen: () => this.options.onStanding('open'),
      onLost: (status) => {
        this.stream = null
        // It is not tried again by itself; a tab that comes later may have logged in.
        if (status === 401) this.end()
        this.options.onStanding(status)
      },
      onAlive: () => {
        this.heard = Date.now()
      },
      onFrame: (frame) => this.take(frame, opening),
    })
  }

  private take(frame: Frame, opening: ReadonlyMap<string, number>): void {
    const event = parsedEvent(frame.event, frame.data)
    const place = frame.id?.split(',', 1)[0]
    if (place?.includes('/')) this.place = place
    switch (event?.type) {
      case undefined:
        return
      case 'ready':
        this.stream = event.stream_id
        this.carried = new Map(opening)
        for (const [id, seq] of opening) this.begun(id, seq)
        this.changeSoon()
        break
      case 'following':
        this.begun(event.conversation_id, event.seq)
        return
      case 'conversation.gone':
        this.begun(event.conversation_id, 0)
        break
      case 'message.changed':
        this.told(event.message.conversation_id, event.seq)
        break
      case 'conversation.changed':
        this.told(event.conversation.id, event.seq)
        break
      case 'end':
        this.end()
        this.options.onStanding(event.code === 'unauthenticated' ? 401 : 200)
        return
    }
    if (event !== null) this.options.onEvent(event, this.place)
  }

  /** The stream follows it from that place on. */
  private begun(id: string, seq: number): void {
    this.carried.set(id, seq)
    this.asked.delete(id)
    if (seq <= (this.needed.get(id) ?? seq)) this.needed.delete(id)
  }

  private told(id: string, seq: number): void {
    const before = this.carried.get(id)
    if (before !== undefined && seq > before) this.carried.set(id, seq)
  }

  /** The open stream follows what is chosen now. */
  private async change(): Promise<void> {
    const { stream } = this
    // While a stream is being opened there is nothing to change: 'ready' comes back here.
    if (stream === null || this.isChanging) return
    const chosen = this.chosen()
    const follow = [...chosen].filter(
      ([id, seq]) =>
        (!this.carried.has(id) || this.needed.has(id)) &&
        seq < (this.asked.get(id) ?? Number.POSITIVE_INFINITY),
    )
    const unfollow = [...this.carried.keys()].filter((id) => !chosen.has(id))
    if (follow.length === 0 && unfollow.length === 0) return
    this.isChanging = true
    for (const [id, seq] of follow) this.asked.set(id, seq)
    for (const id of unfollow) this.dropped(id)
    try {
      await (this.options.change ?? api.changeFollowing)(stream, {
        follow: follow.map(([id, seq]) => `${id}@${seq}`),
        unfollow,
      })
    } catch (error) {
      const isStranger = error instanceof ApiError && error.status === 401
      // Another process may hold it, or it is gone: a stream of one's own is asked for everything.
      if (this.stream === stream && !isStranger) this.reopen()
    } finally {
      this.isChanging = false
    }
    this.changeSoon()
  }

  /** It is not followed any more; a tab that still shows it is told later from the place it was left at. */
  private dropped(id: string): void {
    const told = this.carried.get(id)
    this.carried.delete(id)
    this.asked.delete(id)
    const isWished = [...this.wishes.values()].some(({ follows }) => follows.some((each) => each.id === id))
    if (isWished && told !== undefined) this.need(id, told)
    else this.needed.delete(id)
  }
}
