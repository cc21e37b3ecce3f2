/**
 * Messages on their way to the server.
 *
 * What is said goes first among what leaves the drafts (`drafts.ts`), from there into the browser's store
 * (`browserStore.ts`), under the id it will always have, then to the server. It leaves only when the server
 * has acknowledged it or the person discards it: a server that is away, a closed tab, a killed browser hold
 * it up and cannot lose it, and however often it is posted, its id makes it one message.
 *
 * All tabs share the store. A tab that sends for a conversation holds a Web Lock while doing so; a tab that
 * dies gives its lock to the next in line, which finds in the store what is left. News go over a
 * BroadcastChannel. Where these are missing a tab sends what was said in it and at its start.
 *
 * Messages of one conversation go in order, since each names the one before as its parent. What the
 * network or a busy server holds up is tried again three times at once, then now and then, when the
 * server is back, and on demand; what the server refuses is kept with its reason.
 *
 * A message belongs to the account that said it, from the moment it is said. Another account that logs in
 * in this browser neither sees nor sends it, and it is there when its own account is back.
 */
import { account, onLeaving } from '../api/account'
import { BASE } from '../api/base'
import { api } from '../api/client'
import { newId } from '../api/ids'
import { currentReach } from '../api/reach'
import { backoff } from '../api/retrying'
import type { Sent } from '../api/types'
import type { Readable } from '../stores/store'
import { openedStore } from './browserStore'
import { type Leaving, leaving } from './drafts'
import { Draining } from './draining'
import { Entering } from './entering'
import type { OutboxEntry } from './entries'
import { Keeping } from './keeping'
import { MOST_WAITING, OutboxFull } from './limits'
import type { Post } from './posting'
import { type News, TabNews } from './tabNews'
import { livingTabs, showLife, tabId } from './tabs'
import { MemoryStore, type OutboxStore, type Unsent } from './unsent'
import { Waiting } from './waiting'

const MOST_PAUSE = 30_000

export interface OutboxOptions {
  post: Post
  /** The account's id, asked of the server. */
  whoAmI?: () => Promise<string>
  /** The account's id as far as it is known; null before the server has said it. */
  knownAccount?: () => string | null
  leaving?: Leaving
  open?: () => Promise<OutboxStore>
  locks?: LockManager | undefined
  channel?: BroadcastChannel | null
  tab?: string
}

export class Outbox {
  readonly entries: Readable<readonly OutboxEntry[]>
  /** Calls back with each message that the server has acknowledged, to this tab or another. */
  readonly onSent: (listener: (entry: OutboxEntry, sent: Sent) => void) => () => void
  private readonly waiting: Waiting
  private readonly keeping: Keeping
  private readonly news: TabNews
  private readonly entering: Entering
  private readonly draining: Draining
  private starting: Promise<void> | null = null
  /** Counts the times that an account has left. */
  private visit = 0
  private timer: ReturnType<typeof setTimeout> | null = null

  constructor(private readonly options: OutboxOptions) {
    const { post, locks, channel, tab, whoAmI } = options
    const waiting = new Waiting(tab ?? newId())
    const keeping = new Keeping(() => waiting.stored)
    const news = new TabNews(channel ?? null, waiting)
    this.waiting = waiting
    this.keeping = keeping
    this.news = news
    this.entering = new Entering({
      waiting,
      keeping,
      news,
      leaving: options.leaving,
      begun: whoAmI === undefined ? null : () => this.start(),
      onEntered: (conversationId) => this.draining.drain(conversationId),
    })
    this.draining = new Draining({
      waiting,
      keeping,
      news,
      post,
      locks,
      refresh: () => this.refresh(),
      settle: (id) => this.entering.settle(id),
      whoIsHere: () => this.whoIsHere(),
      leave: () => this.leave(),
    })
    this.entries = waiting.entries
    this.onSent = this.draining.acknowledged.add
    waiting.entries.subscribe(() => this.watch())
    news.onNews((told) => this.hear(told))
    showLife(locks, waiting.tab)
  }

  /** Whether what waits outlives this page. */
  get isLasting(): boolean {
    return this.keeping.isLasting
  }

  /** Find what was left by earlier pages, and send it. Called again when somebody may have logged in. */
  start(): Promise<void> {
    this.starting ??= this.started().catch(() => {
      this.starting = null
    })
    return this.starting
  }

  /** No account is logged in any more, or another one: nothing of this one is seen or sent. */
  leave(): void {
    this.visit += 1
    this.starting = null
    this.keeping.forget()
    this.entering.forget()
    this.waiting.clear()
  }

  /** Returns the message's id; throws OutboxFull. */
  send(message: { conversationId: string; parentId: string | null; content: string }): string {
    const { waiting, options } = this
    if (waiting.entries.read().length >= MOST_WAITING) throw new OutboxFull()
    const id = newId()
    this.entering.begin({
      ...message,
      id,
      account: waiting.account || (options.knownAccount?.() ?? ''),
      createdAt: Date.now(),
      tab: waiting.tab,
      state: 'waiting',
      problem: null,
      reference: null,
    })
    return id
  }

  retry(id: string): void {
    const entry = this.waiting.find(id)
    if (entry === undefined || entry.state === 'saving') return
    void this.renew([entry])
  }

  /** Everything that only waits for the server is tried again. */
  readonly retryAll = (): void => {
    void this.renew(this.unsaved())
  }

  discard(id: string): void {
    const { waiting } = this
    const entry = waiting.find(id)
    if (entry === undefined || entry.state === 'saving') return
    waiting.heirs.set(id, entry.parentId)
    waiting.remove(id)
    waiting.entering.delete(id)
    waiting.change()
    this.entering.settle(id)
    void this.keeping.remove(id, entry.parentId).then(() => {
      this.news.changed()
      return this.draining.drain(entry.conversationId)
    })
  }

  private async started(): Promise<void> {
    const { visit, options } = this
    const [account, store] = await Promise.all([
      options.whoAmI?.() ?? '',
      options.open?.() ?? new MemoryStore(),
    ])
    if (visit !== this.visit) return
    this.waiting.account = account
    this.keeping.use(store)
    await this.entering.adopt(account)
    await this.refresh()
    this.entering.recover()
    // No other page tries what an earlier one gave up.
    await this.renew(this.unsaved())
    this.draining.drainAll()
  }

  private unsaved(): readonly OutboxEntry[] {
    return this.entries.read().filter((entry) => entry.state === 'unsaved')
  }

  private async renew(entries: readonly OutboxEntry[]): Promise<void> {
    const change = { state: 'waiting', problem: null, reference: null } as const satisfies Partial<Unsent>
    for (const { id } of entries) {
      this.waiting.patch(id, change)
      const entering = this.waiting.entering.get(id)
      if (entering !== undefined) void this.entering.enter({ ...entering, ...change })
      else await this.keeping.in((store) => store.change(id, change))
    }
    for (const id of new Set(entries.map((entry) => entry.conversationId))) void this.draining.drain(id)
  }

  /** The account of the session, as far as it can be known. */
  private async whoIsHere(): Promise<string> {
    try {
      return (await this.options.whoAmI?.()) ?? this.waiting.account
    } catch {
      return this.waiting.account
    }
  }

  /** See what lies in the store, and which tabs live. */
  private async refresh(): Promise<void> {
    const { account } = this.waiting
    const [found, alive] = await Promise.all([
      this.keeping.in((store) => store.all(account)),
      livingTabs(this.options.locks),
    ])
    if (account === this.waiting.account) this.waiting.found(found, alive)
  }

  private hear(news: News): void {
    const { waiting } = this
    if (this.starting === null || waiting.account === '' || news.account !== waiting.account) return
    switch (news.type) {
      case 'changed':
        waiting.savingElsewhere.set(news.tab, news.saving)
        // In line for what the other tab may leave behind.
        void this.refresh().then(() => this.draining.drainAll())
        return
      case 'sent': {
        const { entry, sent } = news
        waiting.heirs.set(entry.id, sent.reply?.id ?? entry.id)
        const isHere = waiting.find(entry.id)?.isHere ?? false
        this.draining.acknowledged.tell({ ...entry, isHere }, sent)
        return
      }
      default:
        news satisfies never
    }
  }

  /** What is unsaved is tried now and then, unless the server is away: its return is told. */
  private watch(): void {
    if (this.unsaved().length === 0 || this.timer !== null) return
    const wait = backoff(Math.min(this.draining.failures + 2, 8), MOST_PAUSE)
    this.timer = setTimeout(() => {
      this.timer = null
      if (currentReach() === 'away') this.watch()
      else this.retryAll()
    }, wait)
  }
}

const CHANNEL = `talekeeper.outbox${BASE}`

export const outbox = new Outbox({
  post: (conversationId, draft) => api.send(conversationId, draft),
  whoAmI: async () => (await api.me()).id,
  knownAccount: account.read,
  leaving,
  open: openedStore,
  locks: typeof navigator === 'undefined' ? undefined : navigator.locks,
  channel: typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL),
  tab: tabId(),
})

onLeaving(() => outbox.leave())
