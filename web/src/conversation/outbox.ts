/**
 * Messages on their way to the server.
 *
 * What is said goes first among what leaves the drafts (`drafts.ts`), from there into the browser's store
 * (`outboxStore.ts`), under the id it will always have, then to the server. It leaves only when the server
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
import { currentAccount, onLeaving } from '../api/account'
import { BASE } from '../api/base'
import { api } from '../api/client'
import { newId } from '../api/ids'
import { ApiError, inWords, referenceOf } from '../api/problems'
import { currentReach } from '../api/reach'
import { backoff, mayTryAgain, pause } from '../api/retrying'
import type { Sent } from '../api/types'
import { type Leaving, leaving } from './drafts'
import { Heirs } from './heirs'
import { entriesOf, type OutboxEntry } from './outboxEntries'
import { MemoryStore, type OutboxStore, openedStore, type Unsent } from './outboxStore'
import { type Post, posted, SLOW } from './posting'
import { alone, livingTabs, showLife, tabId } from './tabs'

/** How many messages may wait, over all tabs. */
export const MOST_WAITING = 100
const MOST_PAUSE = 30_000

/** There is no room for another message; its text stays where it was typed. */
export class OutboxFull extends Error {
  override readonly name = 'OutboxFull'

  constructor() {
    super(
      `${MOST_WAITING} messages wait to be saved already. Your text stays here: send it when some of them are.`,
    )
  }
}

type Told =
  | { type: 'changed'; account: string; tab: string; saving: readonly string[] }
  | { type: 'sent'; account: string; entry: OutboxEntry; tab: string; sent: Sent }

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
  private shown: readonly OutboxEntry[] = []
  private unsent: readonly Unsent[] = []
  private readonly listeners = new Set<() => void>()
  private readonly acknowledged = new Set<(entry: OutboxEntry, sent: Sent) => void>()
  private store: OutboxStore = new MemoryStore()
  /** A store that failed: what it holds is sent from memory, and must not come back from there. */
  private failed: OutboxStore | null = null
  private account = ''
  private starting: Promise<void> | null = null
  /** Counts the times that an account has left. */
  private visit = 0
  private readonly tab: string
  /** The tabs that live; null where that cannot be known. */
  private alive: ReadonlySet<string> | null = null
  /** Said here, on the way into the store; what found no room in it stays here, refused. */
  private readonly entering = new Map<string, Unsent>()
  /** Still among what leaves the drafts: not safe in the store. */
  private readonly leaving = new Map<string, Unsent>()
  private readonly saving = new Map<string, string | null>()
  private readonly savingElsewhere = new Map<string, readonly string[]>()
  /** What hung under a message that is gone hangs there. */
  private readonly heirs = new Heirs()
  private readonly draining = new Map<string, boolean>()
  private timer: ReturnType<typeof setTimeout> | null = null
  private failures = 0

  constructor(private readonly options: OutboxOptions) {
    this.tab = options.tab ?? newId()
    options.channel?.addEventListener('message', (message: MessageEvent<Told>) => this.hear(message.data))
    showLife(options.locks, this.tab)
  }

  readonly entries = (): readonly OutboxEntry[] => this.shown

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Whether what waits outlives this page. */
  get isLasting(): boolean {
    return this.store.isLasting
  }

  onSent(listener: (entry: OutboxEntry, sent: Sent) => void): () => void {
    this.acknowledged.add(listener)
    return () => this.acknowledged.delete(listener)
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
    this.account = ''
    this.store = new MemoryStore()
    this.failed = null
    this.unsent = []
    this.entering.clear()
    this.leaving.clear()
    this.change()
  }

  /** Returns the message's id; throws OutboxFull. */
  send(message: { conversationId: string; parentId: string | null; content: string }): string {
    if (this.shown.length >= MOST_WAITING) throw new OutboxFull()
    const unsent: Unsent = {
      ...message,
      id: newId(),
      account: this.account || (this.options.knownAccount?.() ?? ''),
      createdAt: Date.now(),
      tab: this.tab,
      state: 'waiting',
      problem: null,
      reference: null,
    }
    this.options.leaving?.add(unsent)
    this.leaving.set(unsent.id, unsent)
    this.entering.set(unsent.id, unsent)
    this.change()
    void this.enter(unsent)
    return unsent.id
  }

  retry(id: string): void {
    const entry = this.shown.find((each) => each.id === id)
    if (entry === undefined || entry.state === 'saving') return
    void this.renew([entry])
  }

  /** Everything that only waits for the server is tried again. */
  readonly retryAll = (): void => {
    void this.renew(this.shown.filter((entry) => entry.state === 'unsaved'))
  }

  discard(id: string): void {
    const entry = this.shown.find((each) => each.id === id)
    if (entry === undefined || entry.state === 'saving') return
    this.heirs.set(id, entry.parentId)
    this.unsent = this.unsent.filter((each) => each.id !== id)
    this.entering.delete(id)
    this.change()
    void this.remove(id, entry.parentId).then(() => {
      this.tell()
      return this.drain(entry.conversationId)
    })
  }

  private async started(): Promise<void> {
    const { visit } = this
    const [account, store] = await Promise.all([
      this.options.whoAmI?.() ?? '',
      this.options.open?.() ?? new MemoryStore(),
    ])
    if (visit !== this.visit) return
    const isIts = (each: Unsent) => each.account === '' || each.account === account
    for (const each of [...this.entering.values(), ...this.leaving.values()]) {
      if (isIts(each)) continue
      this.entering.delete(each.id)
      this.leaving.delete(each.id)
    }
    // What was said in this page before there was a store for it.
    const early = this.unsent.filter(isIts)
    this.account = account
    this.store = store
    for (const each of early) {
      await this.keeping((to) => to.add({ ...each, account }, MOST_WAITING))
      if (this.store.isLasting) this.settle(each.id)
    }
    await this.refresh()
    this.recover()
    // No other page tries what an earlier one gave up.
    await this.renew(this.shown.filter((entry) => entry.state === 'unsaved'))
    this.drainAll()
  }

  /** What earlier pages sent and did not bring into the store goes there, under its id. */
  private recover(): void {
    for (const each of this.options.leaving?.all(this.account) ?? []) {
      const isOfLivingTab = each.tab !== this.tab && this.alive?.has(each.tab)
      if (isOfLivingTab || this.leaving.has(each.id)) continue
      this.leaving.set(each.id, each)
      this.entering.set(each.id, each)
      void this.enter(each)
    }
    this.change()
  }

  private async enter(message: Unsent): Promise<void> {
    const { id } = message
    if (this.options.whoAmI !== undefined) await Promise.race([this.start(), pause(SLOW)])
    // Discarded meanwhile; or its account has left, and finds it in `leaving` when it is back.
    if (!this.entering.has(id)) return
    // The server takes its time to say it, but the page knows.
    this.account ||= message.account
    const { account } = this
    const unsent = { ...message, account, parentId: this.heirs.of(message.parentId) }
    const isRoom = await this.keeping((store) => store.add(unsent, MOST_WAITING))
    if (!this.entering.has(id)) return
    if (isRoom) {
      this.entering.delete(id)
      this.unsent = [...this.unsent.filter((each) => each.id !== id), unsent]
      if (this.store.isLasting) this.settle(id)
    } else {
      this.entering.set(id, { ...unsent, state: 'refused', problem: new OutboxFull().message })
    }
    this.change()
    this.tell()
    await this.drain(message.conversationId)
  }

  /** The message needs nothing but the store any more, or nothing at all. */
  private settle(id: string): void {
    const message = this.leaving.get(id)
    if (message === undefined) return
    this.leaving.delete(id)
    this.options.leaving?.remove(message)
  }

  private async remove(id: string, heir: string | null): Promise<void> {
    this.settle(id)
    await this.keeping((store) => store.remove(id, heir))
    await this.failed?.remove(id, heir).catch(() => {})
  }

  private async renew(entries: readonly OutboxEntry[]): Promise<void> {
    const change = { state: 'waiting', problem: null, reference: null } as const
    for (const { id } of entries) {
      this.patch(id, change)
      const entering = this.entering.get(id)
      if (entering !== undefined) void this.enter({ ...entering, ...change })
      else await this.keeping((store) => store.change(id, change))
    }
    for (const id of new Set(entries.map((entry) => entry.conversationId))) void this.drain(id)
  }

  private drainAll(): void {
    const waiting = this.unsent.filter((each) => each.state === 'waiting')
    for (const id of new Set(waiting.map((each) => each.conversationId))) void this.drain(id)
  }

  private async drain(conversationId: string): Promise<void> {
    if (this.draining.has(conversationId)) {
      this.draining.set(conversationId, true)
      return
    }
    this.draining.set(conversationId, false)
    try {
      do {
        this.draining.set(conversationId, false)
        const name = `${this.account}.${conversationId}`
        await alone(this.options.locks, name, () => this.sendAll(conversationId))
      } while (this.draining.get(conversationId) === true)
    } finally {
      this.draining.delete(conversationId)
    }
  }

  private async sendAll(conversationId: string): Promise<void> {
    for (;;) {
      await this.refresh()
      const next = this.shown.find(
        (each) => each.conversationId === conversationId && each.state !== 'refused',
      )
      if (next === undefined || next.state === 'unsaved' || this.entering.has(next.id)) return
      if (!(await this.attempt(next))) return
    }
  }

  /** Whether the next in line may go. */
  private async attempt(entry: OutboxEntry): Promise<boolean> {
    const { account } = this
    const isStillHere = () => this.account === account
    this.saving.set(entry.id, null)
    this.change()
    this.tell()
    try {
      const sent = await posted(
        () => {
          const parent_id = this.heirs.of(entry.parentId)
          return this.options.post(entry.conversationId, { id: entry.id, content: entry.content, parent_id })
        },
        { onHeldUp: (problem) => this.say(entry.id, problem), isWanted: isStillHere },
      )
      // It lies in the store of its account, and is found to be sent when that is back.
      if (!isStillHere()) return false
      this.failures = 0
      for (const listener of [...this.acknowledged]) listener(entry, sent)
      const { tab } = this
      this.options.channel?.postMessage({ type: 'sent', account, entry, tab, sent } satisfies Told)
      // As if it were said now: under the reply that has just begun, not beside it.
      const heir = sent.reply?.id ?? entry.id
      this.heirs.set(entry.id, heir)
      this.unsent = this.unsent.filter((each) => each.id !== entry.id)
      await this.remove(entry.id, heir)
      return true
    } catch (error) {
      const isLater =
        mayTryAgain(error) || (error instanceof ApiError && (error.retryable || error.status === 401))
      // The session may be another account's by now, to which the conversation is unknown.
      if (!isLater && (await this.whoIsHere()) !== account) this.leave()
      if (!isStillHere()) return false
      const state = isLater ? 'unsaved' : 'refused'
      const change = { state, problem: inWords(error), reference: referenceOf(error) } as const
      this.patch(entry.id, change)
      await this.keeping((store) => store.change(entry.id, change))
      if (isLater) this.failures += 1
      else {
        this.heirs.set(entry.id, entry.parentId)
        await this.keeping((store) => store.hang(entry.id, entry.parentId))
      }
      return !isLater
    } finally {
      this.saving.delete(entry.id)
      this.change()
      this.tell()
    }
  }

  /** The account of the session, as far as it can be known. */
  private async whoIsHere(): Promise<string> {
    try {
      return (await this.options.whoAmI?.()) ?? this.account
    } catch {
      return this.account
    }
  }

  /** What is true of a message that is on its way. */
  private say(id: string, problem: string): void {
    if (!this.saving.has(id)) return
    this.saving.set(id, problem)
    this.change()
  }

  /** Do it in the store; one that fails gives way to memory, and `isLasting` says so. */
  private async keeping<T>(work: (store: OutboxStore) => Promise<T>): Promise<T> {
    try {
      return await work(this.store)
    } catch (error) {
      if (!this.store.isLasting) throw error
      this.failed = this.store
      this.store = new MemoryStore(this.unsent)
      return work(this.store)
    }
  }

  /** See what lies in the store, and which tabs live. */
  private async refresh(): Promise<void> {
    const { account } = this
    const [found, alive] = await Promise.all([
      this.keeping((store) => store.all(account)),
      livingTabs(this.options.locks),
    ])
    if (account !== this.account) return
    this.alive = alive
    for (const tab of this.savingElsewhere.keys()) {
      if (this.alive !== null && !this.alive.has(tab)) this.savingElsewhere.delete(tab)
    }
    this.unsent = found.filter((each) => !this.entering.has(each.id))
    this.change()
  }

  private hear(told: Told): void {
    if (this.starting === null || this.account === '' || told.account !== this.account) return
    switch (told.type) {
      case 'changed':
        this.savingElsewhere.set(told.tab, told.saving)
        // In line for what the other tab may leave behind.
        void this.refresh().then(() => this.drainAll())
        return
      case 'sent': {
        const { entry, sent } = told
        this.heirs.set(entry.id, sent.reply?.id ?? entry.id)
        const isHere = this.shown.find((each) => each.id === entry.id)?.isHere ?? false
        for (const listener of [...this.acknowledged]) listener({ ...entry, isHere }, sent)
        return
      }
      default:
        told satisfies never
    }
  }

  private tell(): void {
    const { account, tab } = this
    if (account === '') return
    const saving = [...this.saving.keys()]
    this.options.channel?.postMessage({ type: 'changed', account, tab, saving } satisfies Told)
  }

  private patch(id: string, change: Partial<Unsent>): void {
    this.unsent = this.unsent.map((each) => (each.id === id ? { ...each, ...change } : each))
    this.change()
  }

  private change(): void {
    this.shown = entriesOf([...this.unsent, ...this.entering.values()], {
      tab: this.tab,
      alive: this.alive,
      saving: this.saving,
      savingElsewhere: new Set([...this.savingElsewhere.values()].flat()),
      isSoon: (each) => this.entering.has(each.id) || this.draining.has(each.conversationId),
      parentOf: (each) => this.heirs.of(each.parentId),
    })
    this.watch()
    for (const listener of [...this.listeners]) listener()
  }

  /** What is unsaved is tried now and then, unless the server is away: its return is told. */
  private watch(): void {
    const isWaiting = this.shown.some((entry) => entry.state === 'unsaved')
    if (!isWaiting || this.timer !== null) return
    const wait = backoff(Math.min(this.failures + 2, 8), MOST_PAUSE)
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
  knownAccount: currentAccount,
  leaving,
  open: openedStore,
  locks: typeof navigator === 'undefined' ? undefined : navigator.locks,
  channel: typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL),
  tab: tabId(),
})

onLeaving(() => outbox.leave())
