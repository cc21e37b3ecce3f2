/** Keeps what is shown of one conversation true to the server: loads it, follows it, fetches what was missed. */
import type { Api } from '../api/client'
import { conversationOf, type ServerEvent } from '../api/events'
import type { Live } from '../api/live'
import { ApiError, inWords, referenceOf } from '../api/problems'
import { contact } from '../api/reach'
import { pause } from '../api/retrying'
import { onReturn } from '../api/returning'
import type { Message, Sent } from '../api/types'
import type { Outbox } from '../outbox/outbox'
import { FrameQueue } from './frames'
import { newestPage, pageTo } from './loading'
import { applyFetched, applyPage } from './pages'
import { noteSent } from './replyLimit'
import { type Screen, STILL_ANSWERING } from './screen'
import { type Acknowledged, applyEvent, applySent, goneToLeaf, isLacking } from './state'

export interface Tools {
  api: Api
  live: Live
  outbox: Outbox
}

export class Following {
  /** Events are applied once a frame, however many come. */
  private readonly events = new FrameQueue<ServerEvent>((events) => this.apply(events))
  private visitors = 0
  private leave: Array<() => void> = []
  private unfollow: (() => void) | null = null
  private fetching: Promise<void> | null = null
  private stale = false
  private recovering = false
  private isArriving = true
  private boot: string | null = null

  constructor(
    private readonly id: string,
    private readonly screen: Screen,
    private readonly tools: Tools,
  ) {}

  /** Whether it is shown anywhere. */
  get isOpen(): boolean {
    return this.visitors > 0
  }

  /** Load and follow until every caller has called the function that it was returned. */
  open(): () => void {
    this.visitors += 1
    if (this.visitors === 1) this.begin()
    let hasLeft = false
    return () => {
      if (hasLeft) return
      hasLeft = true
      this.visitors -= 1
      if (this.visitors === 0) this.end()
    }
  }

  /** Fetch the conversation and its newest page; called again whenever something may have been missed. */
  load(): Promise<void> {
    if (this.fetching !== null) {
      this.stale = true
      return this.fetching
    }
    this.screen.turn('retry')
    if (this.screen.isIn('loading')) this.screen.change({ problem: null, reference: null })
    this.fetching = this.fetchAll().finally(() => {
      this.fetching = null
      if (this.stale) {
        this.stale = false
        void this.load()
      }
    })
    return this.fetching
  }

  /** The conversation is known, or could not be loaded. */
  async loaded(): Promise<void> {
    if (this.fetching !== null) await this.fetching
    else if (this.screen.state.conversation === null) await this.load()
  }

  /** The server has taken a message or begun a reply. */
  stored(sent: Sent): void {
    noteSent(sent)
    this.screen.state = applySent(this.screen.state, sent)
    const waitsForAnswer = sent.reply === null && sent.generation_id !== null
    if (waitsForAnswer) this.screen.change({ notice: STILL_ANSWERING })
    else if (sent.branched && sent.message.role === 'user')
      this.screen.change({ notice: 'This started a new branch.' })
    else this.screen.change()
    this.recoverLacking()
  }

  /** Fetch what the state lacks and have the running text told from its beginning; at most once a second. */
  recoverLacking(): void {
    if (isLacking(this.screen.state) && !this.recovering) void this.recover()
  }

  private begin(): void {
    const { live, outbox } = this.tools
    this.isArriving = true
    this.screen.turn('mount')
    if (this.screen.state.conversation !== null) this.screen.turn('loaded')
    this.screen.change()
    this.leave = [
      live.subscribe((event) => this.hear(event)),
      outbox.entries.subscribe(() => this.screen.change()),
      outbox.onSent((entry, sent) => {
        if (entry.conversationId !== this.id) return
        if (entry.isHere) this.stored(sent)
        else {
          noteSent(sent)
          this.apply(
            [sent.message, sent.reply].flatMap((each) => (each === null ? [] : [acknowledged(each)])),
          )
        }
      }),
      contact.subscribe(() => {
        if (contact.read().reach === 'here' && this.screen.isIn('loading failed')) void this.load()
      }),
      onReturn(() => void this.load()),
    ]
    void this.load()
  }

  private end(): void {
    for (const each of this.leave) each()
    this.leave = []
    this.stopFollowing()
    this.events.clear()
    this.screen.turn('unmount')
    this.screen.change({ notice: null, reference: null, target: null })
  }

  private async fetchAll(): Promise<void> {
    const { api, live } = this.tools
    const { screen } = this
    try {
      const conversation = await api.conversation(this.id)
      const page = await newestPage(api, conversation)
      // Read only now: events have changed the state while the page was fetched.
      screen.state = applyFetched(screen.state, conversation, page)
      if (this.isArriving) screen.state = goneToLeaf(screen.state)
      this.isArriving = false
      await this.fetchOwnBranch()
      if (this.isOpen) this.unfollow ??= live.follow(this.id, conversation.seq)
      screen.isMissing = false
      screen.turn('loaded')
      screen.change({ problem: null, reference: null })
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.gone()
      else screen.turn('load failed')
      // A conversation that is already on screen stays there; the banner tells of the server.
      if (screen.isIn('loading failed')) {
        screen.change({ problem: inWords(error), reference: referenceOf(error) })
      }
    }
  }

  /** What is read here need not be the active branch; it may have been taken out of the tree meanwhile. */
  private async fetchOwnBranch(): Promise<void> {
    const { screen } = this
    const { tip, leaf } = screen.state
    if (tip === null || tip === leaf.id) return
    try {
      const page = await pageTo(this.tools.api, this.id, tip)
      screen.state = applyPage(screen.state, page)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
      screen.state = goneToLeaf(screen.state)
    }
  }

  private hear(event: ServerEvent): void {
    if (event.type === 'ready') {
      // Events go on where they stopped; only another server process may have changed what was told.
      if (this.boot !== null && this.boot !== event.boot_id) void this.load()
      this.boot = event.boot_id
      return
    }
    if (conversationOf(event) !== this.id) return
    if (event.type === 'conversation.gone') this.gone()
    else this.events.push(event)
  }

  private gone(): void {
    this.screen.isMissing = true
    this.stopFollowing()
    this.screen.turn('gone')
    this.screen.change({ problem: 'This conversation is not there any more.' })
  }

  private stopFollowing(): void {
    this.unfollow?.()
    this.unfollow = null
  }

  private apply(events: readonly (ServerEvent | Acknowledged)[]): void {
    this.screen.state = events.reduce(applyEvent, this.screen.state)
    this.screen.change()
    this.recoverLacking()
  }

  private async recover(): Promise<void> {
    this.recovering = true
    await this.load()
    this.tools.live.refollow(this.id, this.screen.state.conversation?.seq ?? 0)
    await pause(1000)
    this.recovering = false
  }
}

function acknowledged(message: Message): Acknowledged {
  return { type: 'message.changed', seq: message.seq, conversation: null, message }
}
