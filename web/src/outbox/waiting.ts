/** The unsent messages of one account, as this tab knows them: what waits, and what is on its way. */
import { createStore, type Readable, type Store } from '../stores/store'
import { entriesOf, type OutboxEntry } from './entries'
import { Heirs } from './heirs'
import type { Unsent } from './unsent'

export class Waiting {
  /** '' while it is not known. */
  account = ''
  /** What lies in the store. */
  stored: readonly Unsent[] = []
  /** Sent here, on the way into the store; what found no room in it stays here, refused. */
  readonly entering = new Map<string, Unsent>()
  /** What this tab posts, with the reason that holds it up. */
  readonly saving = new Map<string, string | null>()
  /** What the other tabs post, by tab. */
  readonly savingElsewhere = new Map<string, readonly string[]>()
  /** The conversations whose messages this tab sends. */
  readonly draining = new Set<string>()
  /** What hung under a message that is gone hangs there. */
  readonly heirs = new Heirs()
  private alive: ReadonlySet<string> | null = null
  private readonly shown: Store<readonly OutboxEntry[]> = createStore<readonly OutboxEntry[]>([])

  constructor(readonly tab: string) {}

  get entries(): Readable<readonly OutboxEntry[]> {
    return this.shown
  }

  find(id: string): OutboxEntry | undefined {
    return this.shown.read().find((each) => each.id === id)
  }

  isOfLivingTab({ tab }: Unsent): boolean {
    return tab !== this.tab && this.alive?.has(tab) === true
  }

  /** What lies in the store now, and which tabs live; null where that cannot be known. */
  found(stored: readonly Unsent[], alive: ReadonlySet<string> | null): void {
    this.alive = alive
    for (const tab of this.savingElsewhere.keys()) {
      if (alive !== null && !alive.has(tab)) this.savingElsewhere.delete(tab)
    }
    this.stored = stored.filter((each) => !this.entering.has(each.id))
    this.change()
  }

  patch(id: string, change: Partial<Unsent>): void {
    this.stored = this.stored.map((each) => (each.id === id ? { ...each, ...change } : each))
    this.change()
  }

  remove(id: string): void {
    this.stored = this.stored.filter((each) => each.id !== id)
  }

  /** Nothing of the account is known any more. */
  clear(): void {
    this.account = ''
    this.stored = []
    this.entering.clear()
    this.change()
  }

  change(): void {
    this.shown.write(
      entriesOf([...this.stored, ...this.entering.values()], {
        tab: this.tab,
        alive: this.alive,
        saving: this.saving,
        savingElsewhere: new Set([...this.savingElsewhere.values()].flat()),
        isSoon: (each) => this.entering.has(each.id) || this.draining.has(each.conversationId),
        parentOf: (each) => this.heirs.of(each.parentId),
      }),
    )
  }
}
