/**
 * Messages on their way to the server.
 *
 * A message stays here, under the id it will always have, until the server has acknowledged it or the
 * person discards it. Messages of one conversation go in order, since each names the one before as its
 * parent. What the network or a busy server holds up is tried again three times, then waits for a hand or
 * for the server to come back; what the server refuses is kept with its reason.
 */
import { api, type MessageDraft } from '../api/client'
import { newId } from '../api/ids'
import { ApiError, inWords } from '../api/problems'
import { mayTryAgain, withRetries } from '../api/retrying'
import type { Sent } from '../api/types'

export interface OutboxEntry {
  readonly id: string
  readonly conversationId: string
  readonly parentId: string | null
  readonly content: string
  readonly createdAt: number
  /** waiting: behind another one · saving: on its way · unsaved: tried, may work later · refused: will not. */
  readonly state: 'waiting' | 'saving' | 'unsaved' | 'refused'
  readonly problem: string | null
}

export type Post = (conversationId: string, draft: MessageDraft) => Promise<Sent>

export class Outbox {
  private all: readonly OutboxEntry[] = []
  private readonly listeners = new Set<() => void>()
  private readonly acknowledged = new Set<(entry: OutboxEntry, sent: Sent) => void>()
  private readonly busy = new Set<string>()

  constructor(private readonly post: Post) {}

  readonly entries = (): readonly OutboxEntry[] => this.all

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  onSent(listener: (entry: OutboxEntry, sent: Sent) => void): () => void {
    this.acknowledged.add(listener)
    return () => this.acknowledged.delete(listener)
  }

  send(message: { conversationId: string; parentId: string | null; content: string }): string {
    const id = newId()
    this.change([...this.all, { ...message, id, createdAt: Date.now(), state: 'waiting', problem: null }])
    void this.drain(message.conversationId)
    return id
  }

  retry(id: string): void {
    const entry = this.all.find((each) => each.id === id)
    if (entry === undefined || entry.state === 'saving') return
    this.update(id, { state: 'waiting', problem: null })
    void this.drain(entry.conversationId)
  }

  /** Everything that only waits for the server is tried again. */
  retryAll(): void {
    for (const entry of this.all) if (entry.state === 'unsaved') this.retry(entry.id)
  }

  discard(id: string): void {
    const entry = this.all.find((each) => each.id === id)
    if (entry === undefined || entry.state === 'saving') return
    this.hang(entry.id, entry.parentId)
    this.change(this.all.filter((each) => each.id !== id))
    void this.drain(entry.conversationId)
  }

  private async drain(conversationId: string): Promise<void> {
    if (this.busy.has(conversationId)) return
    this.busy.add(conversationId)
    try {
      for (;;) {
        const queue = this.all.filter((each) => each.conversationId === conversationId)
        const next = queue.find((each) => each.state !== 'refused')
        if (next === undefined || next.state !== 'waiting') return
        if (!(await this.attempt(next))) return
      }
    } finally {
      this.busy.delete(conversationId)
    }
  }

  /** Whether the next in line may go. */
  private async attempt(entry: OutboxEntry): Promise<boolean> {
    this.update(entry.id, { state: 'saving' })
    const draft = { id: entry.id, content: entry.content, parent_id: entry.parentId }
    try {
      const sent = await withRetries(() => this.post(entry.conversationId, draft))
      for (const listener of [...this.acknowledged]) listener(entry, sent)
      // As if it were said now: under the reply that has just begun, not beside it.
      if (sent.reply !== null) this.hang(entry.id, sent.reply.id)
      this.change(this.all.filter((each) => each.id !== entry.id))
      return true
    } catch (error) {
      const later =
        mayTryAgain(error) || (error instanceof ApiError && (error.retryable || error.status === 401))
      this.update(entry.id, { state: later ? 'unsaved' : 'refused', problem: inWords(error) })
      if (!later) this.hang(entry.id, entry.parentId)
      return !later
    }
  }

  /** What was typed after a message goes under another; none of it has been sent under the first. */
  private hang(after: string, parentId: string | null): void {
    this.change(this.all.map((each) => (each.parentId === after ? { ...each, parentId } : each)))
  }

  private update(id: string, change: Partial<OutboxEntry>): void {
    this.change(this.all.map((each) => (each.id === id ? { ...each, ...change } : each)))
  }

  private change(entries: readonly OutboxEntry[]): void {
    this.all = entries
    for (const listener of [...this.listeners]) listener()
  }
}

export const outbox = new Outbox((conversationId, draft) => api.send(conversationId, draft))
