/**
 * One open conversation: loads it, follows it, and carries out what the reader asks for.
 *
 * The only place where state, server, live news and outbox meet. Events are applied once a frame, however
 * many come; the pure functions in `state.ts` and `view.ts` decide what they mean.
 */
import type { VirtualItem } from '@tanstack/react-virtual'
import type { Api } from '../api/client'
import { conversationOf, type ServerEvent } from '../api/events'
import { newId } from '../api/ids'
import type { Live } from '../api/live'
import { ApiError, inWords, referenceOf } from '../api/problems'
import { currentReach, onReach } from '../api/reach'
import { pause, withRetries } from '../api/retrying'
import { onReturn } from '../api/returning'
import type { Conversation, ConversationChange, Message, Sent } from '../api/types'
import { FrameQueue } from './frames'
import { newerPage, newestPage, olderPage, pageTo, stretchAround } from './loading'
import { agreed, type Happening, isLoaded, type PageState, turned } from './machine'
import { type Outbox, OutboxFull } from './outbox'
import {
  applyEvent,
  applyFetched,
  applyMessage,
  applyNewer,
  applyPage,
  applySent,
  applyStretch,
  type ConversationState,
  expecting,
  goneToLeaf,
  goneToTip,
  isLacking,
  nothingKnown,
} from './state'
import { type View, viewOf } from './view'

export type Phase = 'loading' | 'failed' | 'missing' | 'ready'

export interface Snapshot {
  /** The page's state as the documents name it. */
  page: PageState
  /** What to draw: a conversation of an earlier visit is drawn while it loads afresh. */
  phase: Phase
  problem: string | null
  state: ConversationState
  view: View
  /** Something worth saying once, quietly. */
  notice: string | null
  /** What finds the cause of a failed `problem` or `notice` in the server's log. */
  reference: string | null
  loadingOlder: boolean
  loadingNewer: boolean
  /** The message to bring into sight and to mark; another `count` asks for the same one again. */
  target: { id: string; count: number } | null
}

export interface Tools {
  api: Api
  live: Live
  outbox: Outbox
}

const STILL_ANSWERING = 'Stored. The AI is still answering the message before.'

type Change = Partial<
  Pick<Snapshot, 'problem' | 'notice' | 'reference' | 'loadingOlder' | 'loadingNewer' | 'target'>
>

/** Where somebody reads: the message at the top of the view, and where every row stood then. */
export interface ReadingPlace {
  id: string
  offset: number
  rows: VirtualItem[]
}

export class ConversationRuntime {
  /** Where the reader left who was not at the end; kept while he is elsewhere. */
  readingPlace: ReadingPlace | null = null
  private state = nothingKnown
  private page: PageState = 'unmounted'
  private isMissing = false
  private said: Required<Change> = {
    problem: null,
    notice: null,
    reference: null,
    loadingOlder: false,
    loadingNewer: false,
    target: null,
  }
  private snapshot: Snapshot
  private readonly listeners = new Set<() => void>()
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

  /** Whether it is shown anywhere. */
  get isOpen(): boolean {
    return this.visitors > 0
  }

  /**
   * Load and follow until the returned function is called, by each that has opened it. What was known from
   * an earlier visit shows at once.
   */
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

  private begin(): void {
    const { live, outbox } = this.tools
    this.isArriving = true
    this.turn('mount')
    if (this.state.conversation !== null) this.turn('loaded')
    this.change()
    this.leave = [
      live.subscribe((event) => this.hear(event)),
      outbox.subscribe(() => this.change()),
      outbox.onSent((entry, sent) => {
        if (entry.conversationId !== this.id) return
        if (entry.isHere) this.stored(sent)
        else this.apply([sent.message, sent.reply].flatMap((each) => (each === null ? [] : [added(each)])))
      }),
      onReach(() => {
        if (currentReach() === 'here' && this.page === 'loading failed') void this.load()
      }),
      onReturn(() => void this.load()),
    ]
    void this.load()
  }

  private end(): void {
    for (const each of this.leave) each()
    this.leave = []
    this.unfollow?.()
    this.unfollow = null
    this.events.clear()
    this.turn('unmount')
    this.change({ notice: null, reference: null, target: null })
  }

  /** Fetch the conversation and its newest page; called again whenever something may have been missed. */
  load(): Promise<void> {
    if (this.fetching !== null) {
      this.stale = true
      return this.fetching
    }
    this.turn('retry')
    if (this.page === 'loading') this.change({ problem: null, reference: null })
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
    if (place === null || this.said.loadingOlder) return
    this.change({ loadingOlder: true })
    try {
      const page = await withRetries(() => olderPage(this.tools.api, this.id, place))
      this.state = applyPage(this.state, page)
    } catch (error) {
      this.tell(error, 'Older messages could not be loaded. ')
    }
    this.change({ loadingOlder: false })
  }

  /** The page below a stretch that `jumpTo` brought on screen. */
  async loadNewer(): Promise<void> {
    const place = this.snapshot.view.newer
    if (place === null || this.said.loadingNewer) return
    this.change({ loadingNewer: true })
    try {
      const page = await withRetries(() => newerPage(this.tools.api, this.id, place))
      this.state = applyNewer(this.state, page)
    } catch (error) {
      this.tell(error, 'Newer messages could not be loaded. ')
    }
    this.change({ loadingNewer: false })
  }

  /** Whether it was taken: it then stands on screen. If not, a notice says why and the text stays. */
  send(content: string, parentId = this.snapshot.view.parentId): boolean {
    try {
      const id = this.tools.outbox.send({ conversationId: this.id, parentId, content })
      this.state = goneToTip(expecting(this.state, id))
      this.change({ notice: null, reference: null })
      if (isLacking(this.state)) void this.recover()
      return true
    } catch (error) {
      if (!(error instanceof OutboxFull)) throw error
      this.tell(error)
      return false
    }
  }

  /** Another reply beside this one; on a user's message, a reply to it. */
  regenerate(messageId: string): Promise<void> {
    const id = newId()
    this.state = expecting(this.state, id)
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

  /** Read the branch of that message; it is the conversation's active one then, on every device. */
  switchTo(messageId: string): Promise<void> {
    return this.act(() => this.goTo(() => this.tools.api.changeConversation(this.id, { leaf_id: messageId })))
  }

  /**
   * Bring a message into sight, wherever it is: on another branch (which is then the active one) or
   * thousands of messages above. `target` of the snapshot says which to scroll to and mark. Whether it
   * is there.
   */
  async jumpTo(messageId: string): Promise<boolean> {
    if (this.fetching !== null) await this.fetching
    else if (this.state.conversation === null) await this.load()
    await this.act(async () => {
      if (!this.isOnScreen(messageId)) await this.fetchAround(messageId)
      if (this.isOnScreen(messageId)) this.aim(messageId)
      else this.change({ notice: 'This message is not in the conversation any more.' })
    })
    return this.isOnScreen(messageId)
  }

  forgetTarget(): void {
    this.change({ target: null })
  }

  /** From a stretch far above back to the newest messages of the branch. */
  goToEnd(): void {
    this.state = goneToTip(this.state)
    this.change({ target: null })
    if (isLacking(this.state)) void this.recover()
  }

  /** To the messages of another branch that `view.newerElsewhere` tells of. */
  goToNewer(): Promise<void> {
    const elsewhere = this.snapshot.view.newerElsewhere
    return elsewhere === null ? Promise.resolve() : this.switchTo(elsewhere.leafId)
  }

  /** Take a message and all under it out of the tree; `restoreBranch` brings them back. */
  deleteBranch(messageId: string): Promise<void> {
    return this.act(() => this.goTo(() => this.tools.api.deleteBranch(messageId)))
  }

  restoreBranch(messageId: string): Promise<void> {
    return this.act(() => this.goTo(() => this.tools.api.restoreBranch(messageId)))
  }

  /** '' is a bookmark without a note, null is none. */
  setBookmark(messageId: string, bookmark: string | null): Promise<void> {
    return this.act(async () => {
      const message = await withRetries(() => this.tools.api.setBookmark(messageId, bookmark))
      this.state = applyMessage(this.state, message)
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
    this.change({ notice: null, reference: null })
  }

  private isOnScreen(messageId: string): boolean {
    return this.snapshot.view.lines.some((line) => line.kind === 'said' && line.id === messageId)
  }

  private aim(id: string): void {
    this.change({ target: { id, count: (this.said.target?.count ?? 0) + 1 } })
  }

  private async fetchAround(message: string): Promise<void> {
    const { api } = this.tools
    const around = (leaf: string) => withRetries(() => stretchAround(api, this.id, { message, leaf }))
    const tip = this.state.tip
    let stretch = tip === null ? null : await around(tip)
    if (stretch === null) {
      const conversation = await withRetries(() => api.changeConversation(this.id, { leaf_id: message }))
      this.state = applyFetched(this.state, conversation, null)
      stretch = conversation.leaf_id === null ? null : await around(conversation.leaf_id)
    }
    if (stretch !== null) this.state = applyStretch(this.state, stretch)
    this.change()
  }

  /** Carry out what moves the active leaf, and go along with it. */
  private async goTo(move: () => Promise<Conversation>): Promise<void> {
    const { api } = this.tools
    const conversation = await withRetries(move)
    const page = await withRetries(() => newestPage(api, conversation))
    this.state = goneToLeaf(applyFetched(this.state, conversation, page))
    this.change()
    if (isLacking(this.state)) void this.recover()
  }

  private async act(work: () => Promise<void>): Promise<void> {
    this.change({ notice: null, reference: null })
    try {
      await work()
    } catch (error) {
      if (error instanceof ApiError && error.code === 'generation_running') void this.load()
      this.tell(error)
    }
  }

  private tell(error: unknown, before = ''): void {
    this.change({ notice: before + inWords(error), reference: referenceOf(error) })
  }

  private stored(sent: Sent): void {
    this.state = applySent(this.state, sent)
    const waitsForAnswer = sent.reply === null && sent.generation_id !== null
    if (waitsForAnswer) this.change({ notice: STILL_ANSWERING })
    else if (sent.branched && sent.message.role === 'user')
      this.change({ notice: 'This started a new branch.' })
    else this.change()
    if (isLacking(this.state)) void this.recover()
  }

  private async fetchAll(): Promise<void> {
    const { api } = this.tools
    try {
      const conversation = await api.conversation(this.id)
      const page = await newestPage(api, conversation)
      // Read only now: events have changed the state while the page was fetched.
      this.state = applyFetched(this.state, conversation, page)
      if (this.isArriving) this.state = goneToLeaf(this.state)
      this.isArriving = false
      await this.fetchOwnBranch()
      if (this.isOpen) this.unfollow ??= this.tools.live.follow(this.id, conversation.seq)
      this.isMissing = false
      this.turn('loaded')
      this.change({ problem: null, reference: null })
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.gone()
      else this.turn('load failed')
      // A conversation that is already on screen stays there; the banner tells of the server.
      if (this.page === 'loading failed') {
        this.change({ problem: inWords(error), reference: referenceOf(error) })
      }
    }
  }

  /** What is read here need not be the active branch; it may have been taken out of the tree meanwhile. */
  private async fetchOwnBranch(): Promise<void> {
    const { tip, leaf } = this.state
    if (tip === null || tip === leaf.id) return
    try {
      this.state = applyPage(this.state, await pageTo(this.tools.api, this.id, tip))
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
      this.state = goneToLeaf(this.state)
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
    this.isMissing = true
    this.unfollow?.()
    this.unfollow = null
    this.turn('gone')
    this.change({ problem: 'This conversation is not there any more.' })
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

  private turn(happening: Happening): void {
    this.page = turned(this.page, happening)
  }

  private change(change: Change = {}): void {
    const wasRunning = this.snapshot.view.running !== null
    this.said = { ...this.said, ...change }
    this.snapshot = this.seen()
    if (wasRunning && this.snapshot.view.running === null && this.said.notice === STILL_ANSWERING) {
      this.said = { ...this.said, notice: null }
      this.snapshot = this.seen()
    }
    for (const listener of [...this.listeners]) listener()
  }

  private seen(): Snapshot {
    const mine = this.tools.outbox.entries().filter((entry) => entry.conversationId === this.id)
    const view = viewOf(this.state, mine)
    const hasUnsaved = mine.some((entry) => entry.state === 'unsaved' || entry.state === 'refused')
    this.page = agreed(this.page, { isAnswering: view.running !== null, hasUnsaved })
    return { page: this.page, phase: this.phase(), state: this.state, view, ...this.said }
  }

  private phase(): Phase {
    if (this.isMissing) return 'missing'
    if (this.page === 'loading failed') return 'failed'
    const isKnown = this.page === 'unmounted' && this.state.conversation !== null
    return isKnown || isLoaded(this.page) ? 'ready' : 'loading'
  }
}

/** An acknowledgement that another tab got, as the stream would tell it. */
function added(message: Message): ServerEvent {
  return {
    type: 'message.changed',
    seq: message.seq,
    conversation_id: message.conversation_id,
    conversation: null,
    message,
  }
}
