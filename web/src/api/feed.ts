/**
 * The one stream of this browser, held by whichever tab leads.
 *
 * Tabs say which conversations they show and up to which place they know them. A wish for something new
 * reopens the stream with `follow=ID@SEQ`, from the earliest place anybody needs: what a tab is told twice
 * changes nothing, what it is never told would be missing.
 */
import { BASE } from './base'
import type { ServerEvent } from './events'
import { parsedEvent } from './events'
import { openStream } from './sse'

export interface Follow {
  id: string
  seq: number
}

interface FeedOptions {
  onEvent: (event: ServerEvent) => void
  onStanding: (status: number | 'open') => void
  open?: typeof openStream
  /** Wishes that come together are answered by one reopening. */
  gather?: number
}

export class Feed {
  private readonly wishes = new Map<string, readonly Follow[]>()
  private readonly told = new Map<string, number>()
  private readonly needed = new Map<string, number>()
  private close: (() => void) | null = null
  private timer: ReturnType<typeof setTimeout> | null = null

  constructor(private readonly options: FeedOptions) {
    this.reopenSoon()
  }

  /** A tab shows these conversations now; with `again` it needs them told afresh, running text included. */
  follow(tab: string, follows: readonly Follow[], again: boolean): void {
    const before = new Set(this.wishes.get(tab)?.map((each) => each.id))
    this.wishes.set(tab, follows)
    const fresh = follows.filter((each) => again || !before.has(each.id))
    for (const { id, seq } of fresh) this.needed.set(id, Math.min(seq, this.needed.get(id) ?? seq))
    if (fresh.length > 0) this.reopenSoon()
  }

  leave(tab: string): void {
    this.wishes.delete(tab)
  }

  /** Forget tabs that are gone without having said so. */
  keepOnly(tabs: ReadonlySet<string>): void {
    for (const tab of [...this.wishes.keys()]) if (!tabs.has(tab)) this.wishes.delete(tab)
  }

  reopenSoon(): void {
    if (this.timer !== null) return
    this.timer = setTimeout(() => this.reopen(), this.options.gather ?? 30)
  }

  end(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.close?.()
    this.close = null
  }

  private places(): string[] {
    const announced = new Map<string, number>()
    for (const follows of this.wishes.values()) {
      for (const { id, seq } of follows) announced.set(id, Math.min(seq, announced.get(id) ?? seq))
    }
    return [...announced].map(([id, seq]) => {
      const place = Math.min(this.needed.get(id) ?? Number.POSITIVE_INFINITY, this.told.get(id) ?? seq)
      return `${id}@${place}`
    })
  }

  private reopen(): void {
    this.timer = null
    this.close?.()
    const follows = this.places().map((place) => `follow=${encodeURIComponent(place)}`)
    this.needed.clear()
    this.close = (this.options.open ?? openStream)({
      url: `${BASE}/api/events${follows.length > 0 ? `?${follows.join('&')}` : ''}`,
      onOpen: () => this.options.onStanding('open'),
      onLost: (status) => this.options.onStanding(status),
      onFrame: (frame) => {
        const event = parsedEvent(frame.event, frame.data)
        if (event === null) return
        if (event.type === 'message.changed') this.note(event.conversation_id, event.seq)
        if (event.type === 'conversation.changed') this.note(event.conversation.id, event.seq)
        this.options.onEvent(event)
      },
    })
  }

  private note(id: string, seq: number): void {
    if (seq > (this.told.get(id) ?? 0)) this.told.set(id, seq)
  }
}
