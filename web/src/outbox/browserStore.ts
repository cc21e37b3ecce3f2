/**
 * Where unsent messages lie: in IndexedDB, written through to the disk before a write is told as done,
 * shared by all tabs. Where the browser has none to give (some private windows), in the tab's memory.
 */
import { MemoryStore, type OutboxStore, type Unsent, type UnsentChange } from './unsent'

const DATABASE = 'talekeeper'
const MESSAGES = 'outbox'

type Lying = Unsent & { readonly place: number }

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

class BrowserStore implements OutboxStore {
  readonly isLasting = true

  constructor(private readonly database: IDBDatabase) {
    // A page of a later release may need to change the store's shape.
    database.onversionchange = () => database.close()
  }

  async all(account: string): Promise<Unsent[]> {
    const lying = await this.read()
    return lying.filter((each) => each.account === account).sort((a, b) => a.place - b.place)
  }

  add(message: Unsent, most: number): Promise<boolean> {
    return this.write((store, lying, tell) => {
      if (lying.some((each) => each.id === message.id)) return tell(true)
      const isRoom = lying.filter((each) => each.account === message.account).length < most
      const place = Math.max(0, ...lying.map((each) => each.place)) + 1
      if (isRoom) store.put({ ...message, place })
      tell(isRoom)
    })
  }

  change(id: string, change: UnsentChange): Promise<void> {
    return this.write((store, lying) => {
      const found = lying.find((each) => each.id === id)
      if (found !== undefined) store.put({ ...found, ...change })
    })
  }

  hang(id: string, heir: string | null): Promise<void> {
    return this.write((store, lying) => this.rehang(store, lying, id, heir))
  }

  remove(id: string, heir: string | null): Promise<void> {
    return this.write((store, lying) => {
      store.delete(id)
      this.rehang(store, lying, id, heir)
    })
  }

  private rehang(store: IDBObjectStore, lying: readonly Lying[], id: string, heir: string | null): void {
    for (const each of lying) if (each.parentId === id) store.put({ ...each, parentId: heir })
  }

  private async read(): Promise<Lying[]> {
    const store = this.database.transaction(MESSAGES, 'readonly').objectStore(MESSAGES)
    return settled(store.getAll() as IDBRequest<Lying[]>)
  }

  /** One transaction: everything is read, then changed. Done when it is on the disk. */
  private write<T>(
    work: (store: IDBObjectStore, lying: readonly Lying[], tell: (value: T) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(MESSAGES, 'readwrite', { durability: 'strict' })
      const store = transaction.objectStore(MESSAGES)
      let told: T
      transaction.oncomplete = () => resolve(told)
      transaction.onabort = () => reject(transaction.error)
      const lying = store.getAll() as IDBRequest<Lying[]>
      lying.onsuccess = () => {
        work(store, lying.result, (value) => {
          told = value
        })
      }
    })
  }
}

/** The browser's store, or memory where it has none. */
export async function openedStore(): Promise<OutboxStore> {
  try {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(MESSAGES, { keyPath: 'id' })
    return new BrowserStore(await settled(request))
  } catch {
    return new MemoryStore()
  }
}
