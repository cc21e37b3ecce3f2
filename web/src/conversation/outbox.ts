/**
 * Messages on their way to the server.
 *
 * What is said goes first into the browser's store (`outboxStore.ts`), under the id it will always have,
 * then to the server. It leaves only when the server has acknowledged it or the person discards it: a
 * server that is away, a closed tab, a killed browser hold it up and cannot lose it, and however often it
 * is posted, its id makes it one message.
 *
 * All tabs share the store. Whoever sends for a conversation holds a Web Lock while doing so; a tab that
 * dies gives its lock to the next in line, which finds in the store what is left. News go over a
 * BroadcastChannel. Where these are missing a tab sends what was said in it and at its start.
 *
 * Messages of one conversation go in order, since each names the one before as its parent. What the
 * network or a busy server holds up is tried again three times at once, then now and then, when the
 * server is back, and on demand; what the server refuses is kept with its reason.
 *
 * Entries belong to an account. Whoever else logs in in this browser neither sees nor sends them.
 */
import { BASE } from '../api/base'
import { api, type MessageDraft } from '../api/client'
import { newId } from '../api/ids'
import { ApiError, inWords, referenceOf } from '../api/problems'
import { currentReach } from '../api/reach'
import { backoff, mayTryAgain, pause } from '../api/retrying'
import type { Sent } from '../api/types'
import { MemoryStore, type OutboxStore, openedStore, type Unsent } from './outboxStore'

export interface OutboxEntry {
  readonly id: string
  readonly conversationId: string
  readonly parentId: string | null
  readonly content: string
  readonly createdAt: number
  /** waiting: behind another one · saving: on its way · unsaved: tried, may work later · refused: will not. */
  readonly state: 'waiting' | 'saving' | 'unsaved' | 'refused'
  readonly problem: string | null
  /** What finds the problem in the server's log. */
  readonly reference: string | null
  /** Said in this tab, or in one that is gone. */
  readonly isHere: boolean
}

export type Post = (conversationId: string, draft: MessageDraft) => Promise<Sent>

/** How many messages may wait, over all tabs. */
export const MOST_WAITING = 100
/** Quick tries end within this time: by then the person is told. */
const QUICK = 4500
const QUICK_TRIES = 4
/** After so long a message on its way says that it takes its time. */
const SLOW = 1800
const MOST_PAUSE = 30_000
/** A lock that is not had by then belongs to a tab that sleeps; posting twice is harmless. */
const ASLEEP = 30_000

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
  | { type: 'account'; account: string }
  | { type: 'changed'; account: string; tab: string; saving: readonly string[] }
  | { type: 'sent'; account: string; entry: OutboxEntry; tab: string; sent: Sent }

export interface OutboxOptions {
  post: Post
  /** The account's id. */
  whoAmI?: () => Promise<string>
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
  private account = ''
  private starting: Promise<void> | null = null
  private readonly tab: string
  /** The tabs that live; null where that cannot be known. */
  private alive: ReadonlySet<string> | null = null
  /** Said here, on the way into the store. */
  private readonly entering = new Map<string, Unsent>()
  private readonly saving = new Map<string, string | null>()
  private readonly savingElsewhere = new Map<string, readonly string[]>()
  /** What hung under a message that is gone hangs there. */
  private readonly heirs = new Map<string, string | null>()
  private readonly draining = new Map<string, boolean>()
  private timer: ReturnType<typeof setTimeout> | null = null
  private failures = 0

  constructor(private readonly options: OutboxOptions) {
    this.tab = options.tab ?? newId()
    options.channel?.addEventListener('message', (message: MessageEvent<Told>) => this.hear(message.data))
    // Held for as long as the tab lives: this is how the others know.
    void options.locks?.request(tabLock(this.tab), () => new Promise(() => {}))
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

  /** Nobody is logged in any more, or somebody else: nothing of it is seen or sent. */
  leave(): void {
    if (this.starting === null) return
    this.starting = null
    this.account = ''
    this.store = new MemoryStore()
    this.unsent = []
    this.change()
  }

  /** Returns the message's id; throws OutboxFull. */
  send(message: { conversationId: string; parentId: string | null; content: string }): string {
    if (this.shown.length >= MOST_WAITING) throw new OutboxFull()
    const unsent: Unsent = {
      ...message,
      id: newId(),
      account: this.account,
      createdAt: Date.now(),
      tab: this.tab,
      state: 'waiting',
      problem: null,
      reference: null,
    }
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
    this.change()
    void this.keeping((store) => store.remove(id, entry.parentId)).then(() => {
      this.tell()
      return this.drain(entry.conversationId)
    })
  }

  private async started(): Promise<void> {
    const [account, store] = await Promise.all([
      this.options.whoAmI?.() ?? '',
      this.options.open?.() ?? new MemoryStore(),
    ])
    // What was said before anybody could be asked who is here.
    const early = this.account === '' ? this.unsent : []
    this.account = account
    this.store = store
    for (const each of early) await this.keeping((to) => to.add({ ...each, account }, MOST_WAITING))
    this.options.channel?.postMessage({ type: 'account', account } satisfies Told)
    await this.refresh()
    // Nobody tries what an earlier page gave up but this one.
    await this.renew(this.shown.filter((entry) => entry.state === 'unsaved'))
    this.drainAll()
  }

  private async enter(message: Unsent): Promise<void> {
    if (this.options.whoAmI !== undefined) await Promise.race([this.start(), pause(SLOW)])
    const unsent = { ...message, account: this.account, parentId: this.heirOf(message.parentId) }
    const isRoom = await this.keeping((store) => store.add(unsent, MOST_WAITING))
    const entered: Unsent = isRoom
      ? unsent
      : { ...unsent, state: 'refused', problem: new OutboxFull().message }
    this.entering.delete(message.id)
    if (isRoom) this.unsent = [...this.unsent, entered]
    else this.entering.set(message.id, entered)
    this.change()
    this.tell()
    await this.drain(message.conversationId)
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
        await this.alone(`${LOCK}.${this.account}.${conversationId}`, () => this.sendAll(conversationId))
      } while (this.draining.get(conversationId) === true)
    } finally {
      this.draining.delete(conversationId)
    }
  }

  /** Do it while no other tab does; each takes its turn. */
  private async alone(lock: string, work: () => Promise<void>): Promise<void> {
    const { locks } = this.options
    if (locks === undefined) return work()
    let hasBegun = false
    const waiting = new AbortController()
    const timer = setTimeout(() => {
      if (!hasBegun) waiting.abort()
    }, ASLEEP)
    const begin = () => {
      hasBegun = true
      return work()
    }
    try {
      await locks.request(lock, { signal: waiting.signal }, begin)
    } catch (error) {
      // Taken over by another tab, which found us asleep: it goes on with what is left.
      if (hasBegun && error instanceof DOMException && error.name === 'AbortError') return
      if (hasBegun || !waiting.signal.aborted) throw error
      await locks.request(lock, { steal: true }, begin)
    } finally {
      clearTimeout(timer)
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
    this.saving.set(entry.id, null)
    this.change()
    this.tell()
    try {
      const sent = await this.posted(entry)
      this.failures = 0
      for (const listener of [...this.acknowledged]) listener(entry, sent)
      const { account, tab } = this
      this.options.channel?.postMessage({ type: 'sent', account, entry, tab, sent } satisfies Told)
      // As if it were said now: under the reply that has just begun, not beside it.
      const heir = sent.reply?.id ?? entry.id
      this.heirs.set(entry.id, heir)
      this.unsent = this.unsent.filter((each) => each.id !== entry.id)
      await this.keeping((store) => store.remove(entry.id, heir))
      return true
    } catch (error) {
      const isLater =
        mayTryAgain(error) || (error instanceof ApiError && (error.retryable || error.status === 401))
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

  private async posted(entry: OutboxEntry): Promise<Sent> {
    const draft = { id: entry.id, content: entry.content, parent_id: this.heirOf(entry.parentId) }
    const began = Date.now()
    const slow = setTimeout(() => {
      if (this.saving.get(entry.id) === null) this.say(entry.id, 'The server has not answered yet.')
    }, SLOW)
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          return await this.options.post(entry.conversationId, draft)
        } catch (error) {
          const asked = error instanceof ApiError && error.retryAfter !== null ? error.retryAfter * 1000 : 0
          const wait = Math.max(asked, backoff(attempt, 4000))
          const isOver = attempt + 1 >= QUICK_TRIES || Date.now() - began + wait > QUICK
          if (!mayTryAgain(error) || isOver) throw error
          this.say(entry.id, `${inWords(error)} Trying again.`)
          await pause(wait)
        }
      }
    } finally {
      clearTimeout(slow)
    }
  }

  /** What is true of a message that is on its way. */
  private say(id: string, problem: string): void {
    if (!this.saving.has(id)) return
    this.saving.set(id, problem)
    this.change()
  }

  private heirOf(parentId: string | null): string | null {
    let id = parentId
    for (let steps = 0; id !== null && steps <= this.heirs.size; steps++) {
      const heir = this.heirs.get(id)
      if (heir === undefined || heir === id) return id
      id = heir
    }
    return id
  }

  /** Do it in the store; one that fails gives way to memory, and `isLasting` says so. */
  private async keeping<T>(work: (store: OutboxStore) => Promise<T>): Promise<T> {
    try {
      return await work(this.store)
    } catch (error) {
      if (!this.store.isLasting) throw error
      this.store = new MemoryStore(this.unsent)
      return work(this.store)
    }
  }

  /** See what lies in the store, and which tabs live. */
  private async refresh(): Promise<void> {
    const { account } = this
    const [found, held] = await Promise.all([
      this.keeping((store) => store.all(account)),
      this.options.locks?.query(),
    ])
    if (account !== this.account) return
    if (held !== undefined) {
      const names = (held.held ?? []).map((lock) => lock.name ?? '')
      this.alive = new Set(names.filter((name) => name.startsWith(TAB)).map((name) => name.slice(TAB.length)))
    }
    for (const tab of this.savingElsewhere.keys()) {
      if (this.alive !== null && !this.alive.has(tab)) this.savingElsewhere.delete(tab)
    }
    this.unsent = found.filter((each) => !this.entering.has(each.id))
    this.change()
  }

  private hear(told: Told): void {
    if (this.starting === null || this.account === '') return
    if (told.account !== this.account) {
      if (told.type === 'account') this.leave()
      return
    }
    switch (told.type) {
      case 'account':
        return
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
    const elsewhere = new Set([...this.savingElsewhere.values()].flat())
    const busy = new Set<string>()
    this.shown = [...this.unsent, ...this.entering.values()].map((each) => {
      const isFirst = !busy.has(each.conversationId)
      if (each.state !== 'refused') busy.add(each.conversationId)
      const isSaving =
        this.saving.has(each.id) ||
        elsewhere.has(each.id) ||
        (isFirst &&
          each.state === 'waiting' &&
          (this.entering.has(each.id) || this.draining.has(each.conversationId)))
      return {
        id: each.id,
        conversationId: each.conversationId,
        parentId: this.heirOf(each.parentId),
        content: each.content,
        createdAt: each.createdAt,
        state: isSaving ? 'saving' : each.state,
        problem: this.saving.get(each.id) ?? each.problem,
        reference: each.reference,
        isHere: each.tab === this.tab || this.alive === null || !this.alive.has(each.tab),
      }
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

const LOCK = `talekeeper.outbox${BASE}`
const TAB = `${LOCK}.tab.`

function tabLock(tab: string): string {
  return TAB + tab
}

/** The same over reloads of this tab. */
function tabId(): string {
  try {
    const id = sessionStorage.getItem('talekeeper.tab') ?? newId()
    sessionStorage.setItem('talekeeper.tab', id)
    return id
  } catch {
    return newId()
  }
}

export const outbox = new Outbox({
  post: (conversationId, draft) => api.send(conversationId, draft),
  whoAmI: async () => (await api.me()).id,
  open: openedStore,
  locks: typeof navigator === 'undefined' ? undefined : navigator.locks,
  channel: typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(LOCK),
  tab: tabId(),
})
