/** Messages that wait to be sent, and what a store of them can do. */

/** A message as it lies in the store. */
export interface Unsent {
  readonly id: string
  readonly account: string
  readonly conversationId: string
  readonly parentId: string | null
  readonly content: string
  readonly createdAt: number
  /** The tab it was said in. */
  readonly tab: string
  /** waiting: may be sent · unsaved: tried, may work later · refused: will not. */
  readonly state: 'waiting' | 'unsaved' | 'refused'
  readonly problem: string | null
  readonly reference: string | null
}

export type UnsentChange = Partial<Pick<Unsent, 'state' | 'problem' | 'reference' | 'parentId'>>

export interface OutboxStore {
  /** Whether what lies here outlives the page. */
  readonly isLasting: boolean
  /** The account's messages, in the order in which they were said. */
  all(account: string): Promise<Unsent[]>
  /** Whether it lies here: an account has at most `most`, over all tabs. One that does already stays as it is. */
  add(message: Unsent, most: number): Promise<boolean>
  change(id: string, change: UnsentChange): Promise<void>
  /** What hangs under the message hangs under `heir` from now on. */
  hang(id: string, heir: string | null): Promise<void>
  /** The message is gone, and what hung under it hangs under `heir`. */
  remove(id: string, heir: string | null): Promise<void>
}

/** As good as the page lasts. */
export class MemoryStore implements OutboxStore {
  readonly isLasting = false

  constructor(private messages: readonly Unsent[] = []) {}

  async all(account: string): Promise<Unsent[]> {
    return this.messages.filter((each) => each.account === account)
  }

  async add(message: Unsent, most: number): Promise<boolean> {
    if (this.messages.some((each) => each.id === message.id)) return true
    if (this.messages.filter((each) => each.account === message.account).length >= most) return false
    this.messages = [...this.messages, message]
    return true
  }

  async change(id: string, change: UnsentChange): Promise<void> {
    this.messages = this.messages.map((each) => (each.id === id ? { ...each, ...change } : each))
  }

  async hang(id: string, heir: string | null): Promise<void> {
    this.messages = this.messages.map((each) => (each.parentId === id ? { ...each, parentId: heir } : each))
  }

  async remove(id: string, heir: string | null): Promise<void> {
    this.messages = this.messages.filter((each) => each.id !== id)
    await this.hang(id, heir)
  }
}
