/**
 * News from the server, one stream a browser.
 *
 * Browsers allow six connections to a server over HTTP/1.1, so tabs share: the one that holds a Web Lock
 * opens the stream (`feed.ts`) and spreads every event over a BroadcastChannel; the others listen and say
 * what they show. When the leading tab closes, its lock goes to another. A tab that is looked at and has
 * not heard its leader for a while (a phone freezes tabs in the background) takes the lock over. Where
 * locks or channels are missing, each tab leads itself.
 */
import { BASE } from './base'
import type { ServerEvent } from './events'
import { Feed, type FollowChange, type Wish } from './feed'
import { newId } from './ids'
import { noteNews, noteReach } from './reach'
import type { openStream } from './sse'

const LOCK = `talekeeper.live${BASE}`
const BEAT = 10_000
const SILENCE = 35_000
/** A leader that has not been heard for so long may be gone. */
const FRESH = 15_000

type Told =
  | { type: 'follow'; tab: string; wish: Wish; again: string[] }
  | { type: 'leave'; tab: string }
  | { type: 'who' }
  | { type: 'event'; event: ServerEvent; place: string | null }
  | { type: 'standing'; standing: number | 'open' }
  | { type: 'wake' }
  | { type: 'beat' }

export interface LiveOptions {
  locks?: LockManager | undefined
  channel?: BroadcastChannel | null
  open?: typeof openStream
  change?: (stream: string, change: FollowChange) => Promise<unknown>
}

export class Live {
  private readonly tab = newId()
  private readonly listeners = new Set<(event: ServerEvent) => void>()
  private readonly follows = new Map<string, { seq: number; count: number }>()
  private feed: Feed | null = null
  private heard = Date.now()
  /** When this tab was last looked at. */
  private seen = Date.now()
  /** How far the account's events were told to this tab. */
  private place: string | null = null

  constructor(private readonly options: LiveOptions) {
    options.channel?.addEventListener('message', (message: MessageEvent<Told>) => this.hear(message.data))
    if (options.locks && options.channel) {
      // Held for as long as the tab lives: this is how a leader knows which tabs are gone.
      void options.locks.request(`${LOCK}.${this.tab}`, () => new Promise(() => {}))
      void this.stand(options.locks, false)
      setInterval(() => this.beat(), BEAT)
    } else {
      this.lead()
    }
    addEventListener('pagehide', () => this.tell({ type: 'leave', tab: this.tab }))
    addEventListener('pageshow', (event) => {
      if (event.persisted) this.announce([...this.follows.keys()])
    })
    document.addEventListener('visibilitychange', () => {
      this.seen = Date.now()
      this.announce()
    })
  }

  subscribe(listener: (event: ServerEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Be told of a conversation from `seq` on, until the returned function is called. */
  follow(id: string, seq: number): () => void {
    const known = this.follows.get(id)
    this.follows.set(id, { seq, count: (known?.count ?? 0) + 1 })
    this.announce()
    return () => {
      const entry = this.follows.get(id)
      if (entry === undefined) return
      if (entry.count > 1) this.follows.set(id, { ...entry, count: entry.count - 1 })
      else this.follows.delete(id)
      this.announce()
    }
  }

  /** Something was missed: be told again from `seq` on, with the running reply's whole text. */
  refollow(id: string, seq: number): void {
    const entry = this.follows.get(id)
    if (entry === undefined) return
    this.follows.set(id, { ...entry, seq })
    this.announce([id])
  }

  /** The network or the reader is back: do not wait for the next try. */
  wake(): void {
    if (this.feed !== null) this.feed.wake()
    else this.tell({ type: 'wake' })
  }

  /** Whether this tab is surely told what happens, or will be told that it missed something. */
  isFresh(): boolean {
    return this.feed !== null || Date.now() - this.heard < FRESH
  }

  private async stand(locks: LockManager, steal: boolean): Promise<void> {
    try {
      await locks.request(LOCK, { steal }, () => {
        this.lead()
        return new Promise<never>(() => {})
      })
    } catch {
      // Another tab took the lock over; wait in line for it again.
      this.feed?.end()
      this.feed = null
      this.heard = Date.now()
      void this.stand(locks, false)
    }
  }

  private lead(): void {
    this.feed = new Feed({
      open: this.options.open,
      change: this.options.change,
      place: this.place,
      onEvent: (event, place) => {
        this.tell({ type: 'event', event, place })
        this.spread(event, place)
      },
      onStanding: (standing) => {
        this.tell({ type: 'standing', standing })
        this.standing(standing)
      },
    })
    this.tell({ type: 'who' })
    this.announce()
  }

  /** Say what this tab shows; what is in `again` it needs afresh. */
  private announce(again: string[] = []): void {
    const wish = {
      follows: [...this.follows].map(([id, { seq }]) => ({ id, seq })),
      isVisible: document.visibilityState === 'visible',
      at: this.seen,
    }
    if (this.feed !== null) this.feed.follow(this.tab, wish, again)
    else this.tell({ type: 'follow', tab: this.tab, wish, again })
  }

  private hear(told: Told): void {
    switch (told.type) {
      case 'follow':
        this.feed?.follow(told.tab, told.wish, told.again)
        return
      case 'leave':
        this.feed?.leave(told.tab)
        return
      case 'wake':
        this.feed?.wake()
        return
      default:
        if (this.feed !== null) return
        this.heard = Date.now()
        if (told.type === 'who') this.announce()
        if (told.type === 'event') this.spread(told.event, told.place)
        if (told.type === 'standing') this.standing(told.standing)
    }
  }

  private tell(told: Told): void {
    this.options.channel?.postMessage(told)
  }

  private spread(event: ServerEvent, place: string | null): void {
    this.place = place
    for (const listener of [...this.listeners]) listener(event)
  }

  private standing(standing: number | 'open'): void {
    if (standing === 'open' || standing === 401) noteNews(false)
    if (standing === 'open') noteReach('here')
    else if (standing === 401) noteReach('stranger')
    else if (standing >= 400 && standing < 500) {
      // The server is there and has its reason: only the news is missing.
      noteNews(true)
      noteReach('here')
    }
    // A stream that ends in order is reopened at once; only one that cannot be had means away.
    else if (standing !== 200) noteReach('away')
  }

  private beat(): void {
    const { locks } = this.options
    if (this.feed !== null) {
      this.tell({ type: 'beat' })
      void this.prune()
    } else if (locks && document.visibilityState === 'visible' && Date.now() - this.heard > SILENCE) {
      this.heard = Date.now()
      void this.stand(locks, true)
    }
  }

  private async prune(): Promise<void> {
    const { held = [] } = (await this.options.locks?.query()) ?? {}
    const alive = held.flatMap(({ name }) =>
      name?.startsWith(`${LOCK}.`) ? [name.slice(LOCK.length + 1)] : [],
    )
    this.feed?.keepOnly(new Set([...alive, this.tab]))
  }
}

let shared: Live | null = null

/** This tab's part in the browser's stream, made when it is first wanted. */
export function liveNews(): Live {
  shared ??= new Live({
    locks: typeof navigator === 'undefined' ? undefined : navigator.locks,
    channel: typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(LOCK),
  })
  return shared
}
