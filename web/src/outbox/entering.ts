/**
 * The way of a message into the store: first among what leaves the drafts, written while the person presses
 * the key, then in the browser's store. It is taken from the drafts once the store has it on the disk.
 */
import { pause } from '../api/retrying'
import type { Leaving } from './drafts'
import type { Keeping } from './keeping'
import { MOST_WAITING, OutboxFull } from './limits'
import { SLOW } from './posting'
import type { TabNews } from './tabNews'
import type { Unsent } from './unsent'
import type { Waiting } from './waiting'

interface EnteringOptions {
  waiting: Waiting
  keeping: Keeping
  news: TabNews
  leaving: Leaving | undefined
  /** The account and its store are known; null where they need not be asked for. */
  begun: (() => Promise<void>) | null
  onEntered: (conversationId: string) => Promise<void>
}

export class Entering {
  /** Still among what leaves the drafts: not safe in the store. */
  private readonly unsettled = new Map<string, Unsent>()

  constructor(private readonly options: EnteringOptions) {}

  begin(message: Unsent): void {
    this.options.leaving?.add(message)
    this.unsettled.set(message.id, message)
    this.options.waiting.entering.set(message.id, message)
    this.options.waiting.change()
    void this.enter(message)
  }

  async enter(message: Unsent): Promise<void> {
    const { waiting, keeping, news, begun, onEntered } = this.options
    const { id } = message
    if (begun !== null) await Promise.race([begun(), pause(SLOW)])
    // Discarded meanwhile; or its account has left, and finds it among what leaves when it is back.
    if (!waiting.entering.has(id)) return
    // The server takes its time to say it, but the page knows.
    waiting.account ||= message.account
    const { account } = waiting
    const unsent = { ...message, account, parentId: waiting.heirs.of(message.parentId) }
    const isRoom = await keeping.in((store) => store.add(unsent, MOST_WAITING))
    if (!waiting.entering.has(id)) return
    if (isRoom) {
      waiting.entering.delete(id)
      waiting.stored = [...waiting.stored.filter((each) => each.id !== id), unsent]
      if (keeping.isLasting) this.settle(id)
    } else {
      waiting.entering.set(id, { ...unsent, state: 'refused', problem: new OutboxFull().message })
    }
    waiting.change()
    news.changed()
    await onEntered(message.conversationId)
  }

  /** The page belongs to `account`: what was sent before that was known goes into its store. */
  async adopt(account: string): Promise<void> {
    const { waiting, keeping } = this.options
    const isIts = (each: Unsent) => each.account === '' || each.account === account
    for (const each of [...waiting.entering.values(), ...this.unsettled.values()]) {
      if (isIts(each)) continue
      waiting.entering.delete(each.id)
      this.unsettled.delete(each.id)
    }
    for (const each of waiting.stored.filter(isIts)) {
      await keeping.in((store) => store.add({ ...each, account }, MOST_WAITING))
      if (keeping.isLasting) this.settle(each.id)
    }
  }

  /** What earlier pages sent and did not bring into the store goes there, under its id. */
  recover(): void {
    const { waiting, leaving } = this.options
    for (const each of leaving?.all(waiting.account) ?? []) {
      if (waiting.isOfLivingTab(each) || this.unsettled.has(each.id)) continue
      this.unsettled.set(each.id, each)
      waiting.entering.set(each.id, each)
      void this.enter(each)
    }
    waiting.change()
  }

  /** The message needs nothing but the store any more, or nothing at all. */
  settle(id: string): void {
    const message = this.unsettled.get(id)
    if (message === undefined) return
    this.unsettled.delete(id)
    this.options.leaving?.remove(message)
  }

  forget(): void {
    this.unsettled.clear()
  }
}
