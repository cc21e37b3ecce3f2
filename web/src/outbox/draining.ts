/**
 * Sends what waits, one conversation after its own order: each message names the one before as its parent.
 * A tab that sends for a conversation holds a Web Lock while doing so.
 */
import { ApiError, inWords, referenceOf } from '../api/problems'
import { mayTryAgain } from '../api/retrying'
import type { Sent } from '../api/types'
import { Listeners } from '../stores/listeners'
import type { OutboxEntry } from './entries'
import type { Keeping } from './keeping'
import { type Post, posted } from './posting'
import type { TabNews } from './tabNews'
import { alone } from './tabs'
import type { Waiting } from './waiting'

interface DrainingOptions {
  waiting: Waiting
  keeping: Keeping
  news: TabNews
  post: Post
  locks: LockManager | undefined
  /** See what lies in the store. */
  refresh: () => Promise<void>
  /** The message is acknowledged: it need not be kept anywhere. */
  settle: (id: string) => void
  whoIsHere: () => Promise<string>
  /** Another account is logged in. */
  leave: () => void
}

export class Draining {
  /** Told of each message that the server has acknowledged. */
  readonly acknowledged = new Listeners<[entry: OutboxEntry, sent: Sent]>()
  /** Tries in a row that the server or the network held up. */
  failures = 0
  private readonly again = new Set<string>()

  constructor(private readonly options: DrainingOptions) {}

  drainAll(): void {
    const waiting = this.options.waiting.stored.filter((each) => each.state === 'waiting')
    for (const id of new Set(waiting.map((each) => each.conversationId))) void this.drain(id)
  }

  /** Send what waits in a conversation; asked for again meanwhile, it looks again at its end. */
  async drain(conversationId: string): Promise<void> {
    const { waiting, locks } = this.options
    this.again.add(conversationId)
    if (waiting.draining.has(conversationId)) return
    waiting.draining.add(conversationId)
    try {
      while (this.again.delete(conversationId)) {
        const name = `${waiting.account}.${conversationId}`
        await alone(locks, name, () => this.sendAll(conversationId))
      }
    } finally {
      waiting.draining.delete(conversationId)
    }
  }

  private async sendAll(conversationId: string): Promise<void> {
    const { waiting, refresh } = this.options
    for (;;) {
      await refresh()
      const next = waiting.entries
        .read()
        .find((each) => each.conversationId === conversationId && each.state !== 'refused')
      if (next === undefined || next.state === 'unsaved' || waiting.entering.has(next.id)) return
      if (!(await this.attempt(next))) return
    }
  }

  /** Whether the next in line may go. */
  private async attempt(entry: OutboxEntry): Promise<boolean> {
    const { waiting, news } = this.options
    const { account } = waiting
    const isStillHere = () => waiting.account === account
    waiting.saving.set(entry.id, null)
    waiting.change()
    news.changed()
    try {
      const sent = await posted(() => this.post(entry), {
        onHeldUp: (problem) => this.say(entry.id, problem),
        isWanted: isStillHere,
      })
      // It lies in the store of its account, and is found to be sent when that is back.
      if (!isStillHere()) return false
      await this.sent(entry, sent)
      return true
    } catch (error) {
      return await this.failed(entry, error, isStillHere)
    } finally {
      waiting.saving.delete(entry.id)
      waiting.change()
      news.changed()
    }
  }

  private post({ id, conversationId, content, parentId }: OutboxEntry): Promise<Sent> {
    const parent_id = this.options.waiting.heirs.of(parentId)
    return this.options.post(conversationId, { id, content, parent_id })
  }

  private async sent(entry: OutboxEntry, sent: Sent): Promise<void> {
    const { waiting, keeping, news, settle } = this.options
    this.failures = 0
    this.acknowledged.tell(entry, sent)
    news.sent(entry, sent)
    // As if it were said now: under the reply that has just begun, not beside it.
    const heir = sent.reply?.id ?? entry.id
    waiting.heirs.set(entry.id, heir)
    waiting.remove(entry.id)
    settle(entry.id)
    await keeping.remove(entry.id, heir)
  }

  private async failed(entry: OutboxEntry, error: unknown, isStillHere: () => boolean): Promise<boolean> {
    const { waiting, keeping, whoIsHere, leave } = this.options
    if (!isStillHere()) return false
    const isLater =
      mayTryAgain(error) || (error instanceof ApiError && (error.retryable || error.status === 401))
    const { account } = waiting
    // The session may be another account's by now, to which the conversation is unknown.
    if (!isLater && (await whoIsHere()) !== account && isStillHere()) leave()
    if (!isStillHere()) return false
    const state = isLater ? 'unsaved' : 'refused'
    const change = { state, problem: inWords(error), reference: referenceOf(error) } as const
    waiting.patch(entry.id, change)
    await keeping.in((store) => store.change(entry.id, change))
    if (isLater) this.failures += 1
    else {
      waiting.heirs.set(entry.id, entry.parentId)
      await keeping.in((store) => store.hang(entry.id, entry.parentId))
    }
    return !isLater
  }

  /** What is true of a message that is on its way. */
  private say(id: string, problem: string): void {
    const { waiting } = this.options
    if (!waiting.saving.has(id)) return
    waiting.saving.set(id, problem)
    waiting.change()
  }
}
