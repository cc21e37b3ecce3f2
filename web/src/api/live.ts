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
import { Feed, type Follow } from './feed'
import { newId } from './ids'
import { noteReach } from './reach'
import type { openStream } from './sse'

const LOCK = `talekeeper.live${BASE}`
const BEAT = 10_000
const SILENCE = 35_000

type Told =
  | { type: 'follow'; tab: string; follows: Follow[]; again: boolean }
  | { type: 'leave'; tab: string }
  | { type: 'who' }
  | { type: 'event'; event: ServerEvent }
  | { type: 'standing'; standing: number | 'open' }
  | { type: 'wake' }
  | { type: 'beat' }

export interface LiveOptions {
  locks?: LockManager | undefined
  channel?: BroadcastChannel | null
  open?: typeof openStream
}

export class Live {
  private readonly tab = newId()
  private readonly listeners = new Set<(event: ServerEvent) => void>()
  private readonly follows = new Map<string, { seq: number; count: number }>()
  private feed: Feed | null = null
  private heard = Date.now()

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
      if (event.persisted) this.announce(true)
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
    this.announce(false)
    return () => {
      const entry = this.follows.get(id)
      if (entry === undefined) return
      if (entry.count > 1) this.follows.set(id, { ...entry, count: entry.count - 1 })
      else this.follows.delete(id)
      this.announce(false)
    }
  }

  /** Something was missed: be told again from `seq` on, with the running reply's whole text. */
  refollow(id: string, seq: number): void {
    const entry = this.follows.get(id)
    if (entry === undefined) return
    this.follows.set(id, { ...entry, seq })
    this.announce(true)
  }

  /** The network or the reader is back: do not wait for the next try. */
  wake(): void {
    if (this.feed !== null) this.feed.reopenSoon()
    else this.tell({ type: 'wake' })
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
      onEvent: (event) => {
        this.tell({ type: 'event', event })
        this.spread(event)
      },
      onStanding: (standing) => {
        this.tell({ type: 'standing', standing })
        this.standing(standing)
      },
    })
    this.tell({ type: 'who' })
    this.announce(false)
  }

  private announce(again: boolean): void {
    const follows = [...this.follows].map(([id, { seq }]) => ({ id, seq }))
    if (this.feed !== null) this.feed.follow(this.tab, follows, again)
    else this.tell({ type: 'follow', tab: this.tab, follows, again })
  }

  private hear(told: Told): void {
    switch (told.type) {
      case 'follow':
        this.feed?.follow(told.tab, told.follows, told.again)
        return
      case 'leave':
        this.feed?.leave(told.tab)
        return
      case 'wake':
        this.feed?.reopenSoon()
        return
      default:
        if (this.feed !== null) return
        this.heard = Date.now()
        if (told.type === 'who') this.announce(false)
        if (told.type === 'event') this.spread(told.event)
        if (told.type === 'standing') this.standing(told.standing)
    }
  }

  private tell(told: Told): void {
    this.options.channel?.postMessage(told)
  }

  private spread(event: ServerEvent): void {
    for (const listener of [...this.listeners]) listener(event)
  }

  private standing(standing: number | 'open'): void {
    if (standing === 'open') noteReach('here')
    else if (standing === 401) noteReach('stranger')
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
