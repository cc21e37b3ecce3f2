/** Where the outbox keeps its messages: the browser's store, or memory once that has failed. */
import { MemoryStore, type OutboxStore, type Unsent } from './unsent'

export class Keeping {
  private store: OutboxStore = new MemoryStore()
  /** A store that failed: what it holds is sent from memory, and must not come back from there. */
  private failed: OutboxStore | null = null

  /** `known` is what memory begins with when the store fails. */
  constructor(private readonly known: () => readonly Unsent[]) {}

  /** Whether what lies here outlives the page. */
  get isLasting(): boolean {
    return this.store.isLasting
  }

  use(store: OutboxStore): void {
    this.store = store
  }

  /** Another account's messages are kept from now on; until its store is known, in memory. */
  forget(): void {
    this.store = new MemoryStore()
    this.failed = null
  }

  /** Do it in the store, or in memory if the store fails. */
  async in<T>(work: (store: OutboxStore) => Promise<T>): Promise<T> {
    try {
      return await work(this.store)
    } catch (error) {
      if (!this.store.isLasting) throw error
      this.failed = this.store
      this.store = new MemoryStore(this.known())
      return work(this.store)
    }
  }

  async remove(id: string, heir: string | null): Promise<void> {
    await this.in((store) => store.remove(id, heir))
    await this.failed?.remove(id, heir).catch(() => {})
  }
}
