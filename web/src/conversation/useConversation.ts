import { useEffect } from 'react'
import { api } from '../api/client'
import { liveNews } from '../api/live'
import { outbox } from '../outbox/outbox'
import { useStore } from '../stores/store'
import { ConversationRuntime } from './runtime'
import type { Snapshot } from './screen'

/** Conversations visited lately stay known, so that going back shows them at once. */
const KEPT = 8
/** The one visited last stands last. */
const runtimes = new Map<string, ConversationRuntime>()

function runtimeOf(id: string): ConversationRuntime {
  const known = runtimes.get(id)
  if (known !== undefined) return known
  const runtime = new ConversationRuntime(id, { api, live: liveNews(), outbox })
  runtimes.set(id, runtime)
  return runtime
}

function visited(runtime: ConversationRuntime): void {
  runtimes.delete(runtime.id)
  runtimes.set(runtime.id, runtime)
  for (const [id, each] of runtimes) {
    if (runtimes.size <= KEPT) break
    if (!each.isOpen) runtimes.delete(id)
  }
}

/** Nothing of any conversation is known any more. */
export function forgetRuntimes(): void {
  runtimes.clear()
}

/** One conversation, loaded and followed while a component that shows it stands; all of them share it. */
export function useConversation(id: string): Snapshot & { runtime: ConversationRuntime } {
  const runtime = runtimeOf(id)
  const snapshot = useStore(runtime.shown)
  useEffect(() => {
    const leave = runtime.open()
    visited(runtime)
    return leave
  }, [runtime])
  return { ...snapshot, runtime }
}
