/** The messages of the outbox as they are shown. */
import type { Unsent } from './unsent'

export interface OutboxEntry {
  readonly id: string
  readonly conversationId: string
  readonly parentId: string | null
  readonly content: string
  readonly createdAt: number
  /** waiting: behind another one · saving: on its way · unsaved: tried, may work later · refused: will not. */
  readonly state: 'waiting' | 'saving' | 'unsaved' | 'refused'
  readonly problem: string | null
  /** What finds the problem in the server's log. */
  readonly reference: string | null
  /** Said in this tab, or in one that is gone. */
  readonly isHere: boolean
}

interface Sending {
  /** This tab, and those that live; null where that cannot be known. */
  tab: string
  alive: ReadonlySet<string> | null
  /** What this tab is sending, with what holds it up. */
  saving: ReadonlyMap<string, string | null>
  savingElsewhere: ReadonlySet<string>
  /** Whether it is being brought into the store, or its conversation is being sent. */
  isSoon: (message: Unsent) => boolean
  parentOf: (message: Unsent) => string | null
}

export function entriesOf(messages: readonly Unsent[], sending: Sending): readonly OutboxEntry[] {
  const { tab, alive, saving, savingElsewhere, isSoon, parentOf } = sending
  const busy = new Set<string>()
  return messages.map((each) => {
    const isFirst = !busy.has(each.conversationId)
    if (each.state !== 'refused') busy.add(each.conversationId)
    const isSaving =
      saving.has(each.id) ||
      savingElsewhere.has(each.id) ||
      (isFirst && each.state === 'waiting' && isSoon(each))
    return {
      id: each.id,
      conversationId: each.conversationId,
      parentId: parentOf(each),
      content: each.content,
      createdAt: each.createdAt,
      state: isSaving ? 'saving' : each.state,
      problem: saving.get(each.id) ?? each.problem,
      reference: each.reference,
      isHere: each.tab === tab || alive === null || !alive.has(each.tab),
    }
  })
}
