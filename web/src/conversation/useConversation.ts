import { useEffect, useSyncExternalStore } from 'react'
import { api } from '../api/client'
import { liveNews } from '../api/live'
import { outbox } from './outbox'
import { ConversationRuntime, type Snapshot } from './runtime'

/** Conversations visited lately stay known, so that going back shows them at once. */
const KEPT = 8
const runtimes = new Map<string, ConversationRuntime>()

function runtimeOf(id: string): ConversationRuntime {
  const runtime = runtimes.get(id) ?? new ConversationRuntime(id, { api, live: liveNews(), outbox })
  // Newest last: the first key is the one visited longest ago.
  runtimes.delete(id)
  runtimes.set(id, runtime)
  for (const old of runtimes.keys()) {
    if (runtimes.size <= KEPT) break
    runtimes.delete(old)
  }
  return runtime
}

/** One conversation, loaded and followed while the component stands. */
export function useConversation(id: string): Snapshot & { runtime: ConversationRuntime } {
  const runtime = runtimes.get(id) ?? runtimeOf(id)
  const snapshot = useSyncExternalStore(runtime.subscribe, runtime.getSnapshot)
  useEffect(() => {
    const opened = runtimeOf(id)
    opened.open()
    return () => opened.close()
  }, [id])
  return { ...snapshot, runtime }
}
