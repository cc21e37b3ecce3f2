/**
 * One open conversation: loads it, follows it, and carries out what the reader asks for.
 *
 * The only place where state, server, live news and outbox meet. Events are applied once a frame, however
 * many come; the pure functions in `state.ts` and `view.ts` decide what they mean.
 */
import type { Api } from '../api/client'
import { conversationOf, type ServerEvent } from '../api/events'
import { newId } from '../api/ids'
import type { Live } from '../api/live'
import { ApiError, inWords } from '../api/problems'
import { currentReach, onReach } from '../api/reach'
import { pause, withRetries } from '../api/retrying'
import { onReturn } from '../api/returning'
import type { ConversationChange, Sent } from '../api/types'
import { FrameQueue } from './frames'
import { newestPage, olderPage } from './loading'
import type { Outbox } from './outbox'
import {
  applyEvent,
  applyFetched,
  applyMessage,
  applyPage,
  applySent,
  type ConversationState,
  isLacking,
  nothingKnown,
} from './state'
import { type View, viewOf } from './view'

export type Phase = 'loading' | 'failed' | 'missing' | 'ready'

export interface Snapshot {
  phase: Phase
  problem: string | null
  state: ConversationState
  view: View
  /** Something worth saying once, quietly. */
  notice: string | null
  loadingOlder: boolean
}

export interface Tools {
  api: Api
  live: Live
  outbox: Outbox
}

const STILL_ANSWERING = 'Stored. The AI is still answering the message before.'

export class ConversationRuntime {
  private state = nothingKnown
  private phase: Phase = 'loading'
  private problem: string | null = null
  private notice: string | null = null
  private loadingOlder = false
  private snapshot: Snapshot
  private readonly listeners = new Set<() => void>()
  private readonly events = new FrameQueue<ServerEvent>((events) => this.apply(events))
  private leave: Array<() => void> = []
  private unfollow: (() => void) | null = null
  private fetching: Promise<void> | null = null
  private stale = false
  private recovering = false
  private boot: string | null = null

  constructor(
    readonly id: string,
    private readonly tools: Tools,
  ) {
    this.snapshot = this.seen()
  }

  readonly getSnapshot = (): Snapshot => this.snapshot

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Load and follow until `close`. What was known from an earlier visit shows at once. */
  open(): void {
    const { live, outbox } = this.tools
    this.leave = [
      live.subscribe((event) => this.hear(event)),
      outbox.subscribe(() => this.change()),
      outbox.onSent((entry, sent) => {
        if (entry.conversationId === this.id) this.stored(sent)
      }),
      onReach(() => {
        if (currentReach() === 'here' && this.phase === 'failed') void this.load()
      }),
      onReturn(() => void this.load()),
    ]
    void this.load()
  }

  close(): void {
    for (const each of this.leave) each()
    this.leave = []
    this.unfollow?.()
    this.unfollow = null
    this.notice = null
    this.events.clear()
  }

  /** Fetch the conversation and its newest page; called again whenever something may have been missed. */
  load(): Promise<void> {
    if (this.fetching !== null) {
      this.stale = true
      return this.fetching
    }
    if (this.phase !== 'ready') this.change({ phase: 'loading', problem: null })
    this.fetching = this.fetchAll().finally(() => {
      this.fetching = null
      if (this.stale) {
        this.stale = false
        void this.load()
      }
    })
    return this.fetching
  }

  async loadOlder(): Promise<void> {
    const place = this.snapshot.view.older
    if (place === null || this.loadingOlder) return
    this.change({ loadingOlder: true })
    try {
      const page = await withRetries(() => olderPage(this.tools.api, this.id, place))
      this.state = applyPage(this.state, page)
    } catch (error) {
      this.notice = `Older messages could not be loaded. ${inWords(error)}`
    }
    this.change({ loadingOlder: false })
  }

  send(content: string, parentId = this.snapshot.view.parentId): void {
    this.notice = null
    this.tools.outbox.send({ conversationId: this.id, parentId, content })
  }

  /** Another reply beside this one; on a user's message, a reply to it. */
  regenerate(messageId: string): Promise<void> {
    const id = newId()
    return this.act(async () =>
      this.stored(await withRetries(() => this.tools.api.regenerate(messageId, id))),
    )
  }

  continueReply(messageId: string): Promise<void> {
    const id = newId()
    return this.act(async () =>
      this.stored(await withRetries(() => this.tools.api.continueReply(messageId, id))),
    )
  }

  stop(): Promise<void> {
    const running = this.snapshot.view.running
    if (running === null) return Promise.resolve()
    return this.act(async () => {
      const message = await withRetries(() => this.tools.api.stop(running.generation))
      this.state = applyMessage(this.state, message)
      this.change()
    })
  }

  switchTo(messageId: string): Promise<void> {
    return this.act(async () => {
      const { api } = this.tools
      const conversation = await withRetries(() => api.changeConversation(this.id, { leaf_id: messageId }))
      const page = await withRetries(() => newestPage(api, conversation))
      this.state = applyFetched(this.state, conversation, page)
      this.change()
    })
  }

  changeConversation(change: ConversationChange): Promise<void> {
    return this.act(async () => {
      const conversation = await withRetries(() => this.tools.api.changeConversation(this.id, change))
      this.state = applyFetched(this.state, conversation, null)
      this.change()
    })
  }

  forgetNotice(): void {
    this.change({ notice: null })
  }

  private async act(work: () => Promise<void>): Promise<void> {
    this.change({ notice: null })
    try {
      await work()
    } catch (error) {
      if (error instanceof ApiError && error.code === 'generation_running') void this.load()
      this.change({ notice: inWords(error) })
    }
  }

  private stored(sent: Sent): void {
    this.state = applySent(this.state, sent)
    const waitsForAnswer = sent.reply === null && sent.generation_id !== null
    if (waitsForAnswer) this.notice = STILL_ANSWERING
    else if (sent.branched && sent.message.role === 'user') this.notice = 'This started a new branch.'
    this.change()
  }

  private async fetchAll(): Promise<void> {
    const { api } = this.tools
    try {
      const conversation = await api.conversation(this.id)
      const page = await newestPage(api, conversation)
      // Read only now: events have changed the state while the page was fetched.
      this.state = applyFetched(this.state, conversation, page)
      if (this.leave.length > 0) this.unfollow ??= this.tools.live.follow(this.id, conversation.seq)
      this.change({ phase: 'ready', problem: null })
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.change({ phase: 'missing' })
      // A conversation that is already on screen stays there; the banner tells of the server.
      else if (this.phase !== 'ready') this.change({ phase: 'failed', problem: inWords(error) })
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
    this.events.push(event)
  }

  private apply(events: readonly ServerEvent[]): void {
    this.state = events.reduce(applyEvent, this.state)
    this.change()
    if (isLacking(this.state)) void this.recover()
  }

  /** Fetch what was missed and have the running text told from its beginning; at most once a second. */
  private async recover(): Promise<void> {
    if (this.recovering) return
    this.recovering = true
    await this.load()
    this.tools.live.refollow(this.id, this.state.conversation?.seq ?? 0)
    await pause(1000)
    this.recovering = false
  }

  private change(
    change: Partial<Pick<Snapshot, 'phase' | 'problem' | 'notice' | 'loadingOlder'>> = {},
  ): void {
    this.phase = change.phase ?? this.phase
    const wasRunning = this.snapshot.view.running !== null
    this.loadingOlder = change.loadingOlder ?? this.loadingOlder
    if (change.problem !== undefined) this.problem = change.problem
    if (change.notice !== undefined) this.notice = change.notice
    this.snapshot = this.seen()
    if (wasRunning && this.snapshot.view.running === null && this.notice === STILL_ANSWERING) {
      this.notice = null
      this.snapshot = this.seen()
    }
    for (const listener of [...this.listeners]) listener()
  }

  private seen(): Snapshot {
    const mine = this.tools.outbox.entries().filter((entry) => entry.conversationId === this.id)
    return {
      phase: this.phase,
      problem: this.problem,
      state: this.state,
      view: viewOf(this.state, mine),
      notice: this.notice,
      loadingOlder: this.loadingOlder,
    }
  }
}
