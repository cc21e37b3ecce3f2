/** Values that stand outside of the components which show them. */
import { useSyncExternalStore } from 'react'
import { Listeners } from './listeners'

export interface Readable<Value> {
  readonly read: () => Value
  /** Calls `listener` after every change until the returned function is called. */
  readonly subscribe: (listener: () => void) => () => void
}

export interface Store<Value> extends Readable<Value> {
  /** Listeners are called unless `next` is the same value. */
  readonly write: (next: Value) => void
}

export function createStore<Value>(
  first: Value,
  isSame: (next: Value, now: Value) => boolean = Object.is,
): Store<Value> {
  const listeners = new Listeners()
  let value = first
  return {
    read: () => value,
    subscribe: listeners.add,
    write: (next) => {
      if (isSame(next, value)) return
      value = next
      listeners.tell()
    },
  }
}

/** The store's value; the component is drawn again when it changes. */
export function useStore<Value>(store: Readable<Value>): Value {
  return useSyncExternalStore(store.subscribe, store.read)
}
