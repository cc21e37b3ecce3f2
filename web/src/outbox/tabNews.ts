/** What the tabs of one browser tell each other of their outboxes. */
import type { Sent } from '../api/types'
import type { OutboxEntry } from './entries'
import type { Waiting } from './waiting'

export type News =
  | { type: 'changed'; account: string; tab: string; saving: readonly string[] }
  | { type: 'sent'; account: string; entry: OutboxEntry; tab: string; sent: Sent }

export class TabNews {
  constructor(
    private readonly channel: BroadcastChannel | null,
    private readonly waiting: Waiting,
  ) {}

  onNews(listener: (news: News) => void): void {
    this.channel?.addEventListener('message', (message: MessageEvent<News>) => listener(message.data))
  }

  /** The store has changed, or what this tab posts. */
  changed(): void {
    const { account, tab } = this.waiting
    if (account !== '') this.tell({ type: 'changed', account, tab, saving: [...this.waiting.saving.keys()] })
  }

  sent(entry: OutboxEntry, sent: Sent): void {
    const { account, tab } = this.waiting
    this.tell({ type: 'sent', account, entry, tab, sent })
  }

  private tell(news: News): void {
    this.channel?.postMessage(news)
  }
}
