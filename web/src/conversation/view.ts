/** What stands on screen, worked out from what is known and what is still on its way to the server. */
import type { Message } from '../api/types'
import type { OutboxEntry } from '../outbox/entries'
import {
  type ConversationState,
  isDeleted,
  isRunning,
  isUnder,
  isWindow,
  type NewerPage,
  type OlderPage,
  parentKey,
} from './state'

export interface SaidLine {
  kind: 'said'
  id: string
  message: Message
  /** The text to show: what was stored, or more of it while it grows. */
  text: string
  siblings: readonly string[]
}

export interface OutgoingLine {
  kind: 'outgoing'
  id: string
  entry: OutboxEntry
}

export type Line = SaidLine | OutgoingLine

export interface View {
  lines: readonly Line[]
  /** Where the page before the first line is; null when the conversation begins with it. */
  older: OlderPage | null
  /** Where the page after the last line is; null when the branch ends with it. */
  newer: NewerPage | null
  /** The reply that is being written, on screen or on another branch. */
  running: { generation: string; isElsewhere: boolean } | null
  /** Where the next message goes. */
  parentId: string | null
  /** Another branch has messages newer than all of this one's; its leaf. */
  newerElsewhere: { leafId: string } | null
  /**
   * What the game master said here and got no answer to: no reply follows it, not even one that failed.
   * `runtime.regenerate` of such a message answers it. Replies on other branches do not count.
   */
  unanswered: ReadonlySet<string>
}

function shownText(state: ConversationState, message: Message): string {
  const growing = state.live.get(message.id)
  if (growing === undefined || !isRunning(message)) return message.content
  if (message.generation_id !== null && growing.generation !== message.generation_id) return message.content
  return growing.text.length >= message.content.length ? growing.text : message.content
}

/** The siblings that are still in the tree. */
function standing(state: ConversationState, ids: readonly string[]): readonly string[] {
  const gone = (id: string) => {
    const message = state.messages.get(id)
    return message !== undefined && isDeleted(message)
  }
  return ids.some(gone) ? ids.filter((id) => !gone(id)) : ids
}

/** From the oldest known message down to `end`, or to what was taken out of the tree. */
function pathTo(state: ConversationState, end: string | null): SaidLine[] {
  let path: SaidLine[] = []
  const seen = new Set<string>()
  for (let id = end; id !== null && !seen.has(id); ) {
    const message = state.messages.get(id)
    if (message === undefined) break
    seen.add(id)
    // Whatever stood under it is hidden with it.
    if (isDeleted(message)) path = []
    else
      path.push({
        kind: 'said',
        id,
        message,
        text: shownText(state, message),
        siblings: standing(state, state.siblings.get(parentKey(message.parent_id)) ?? [id]),
      })
    id = message.parent_id
  }
  return path.reverse()
}

function olderThan(state: ConversationState, first: SaidLine | undefined): OlderPage | null {
  if (first === undefined) return null
  const parent = first.message.parent_id
  if (parent === null || state.messages.has(parent)) return null
  return state.older.get(first.id) ?? null
}

/** The real message that a waiting one hangs under, however many waiting ones are in between. */
function rootOf(entry: OutboxEntry, waiting: ReadonlyMap<string, OutboxEntry>): string | null {
  let id = entry.parentId
  for (let steps = 0; id !== null && steps <= waiting.size; steps++) {
    const parent = waiting.get(id)
    if (parent === undefined) return id
    id = parent.parentId
  }
  return id
}

/** A waiting message and the waiting ones that it hangs under. */
function chainTo(entry: OutboxEntry | undefined, waiting: ReadonlyMap<string, OutboxEntry>): Set<string> {
  const chain = new Set<string>()
  for (let at = entry; at !== undefined && !chain.has(at.id); at = waiting.get(at.parentId ?? '')) {
    chain.add(at.id)
  }
  return chain
}

/**
 * What is on its way from here, with what it hangs under. While nothing is, what other tabs said at the end
 * of the branch that is read: beside something of this tab's it would be another branch.
 */
function waitingIn(state: ConversationState, outbox: readonly OutboxEntry[]): readonly OutboxEntry[] {
  const waiting = outbox.filter((entry) => !state.messages.has(entry.id))
  if (waiting.every((entry) => entry.isHere)) return waiting
  const byId = new Map(waiting.map((entry) => [entry.id, entry]))
  const last =
    waiting.findLast((entry) => entry.isHere) ??
    waiting.findLast((entry) => rootOf(entry, byId) === state.tip)
  const chain = chainTo(last, byId)
  return waiting.filter((entry) => entry.isHere || chain.has(entry.id))
}

export function viewOf(state: ConversationState, outbox: readonly OutboxEntry[]): View {
  const newer = isWindow(state) ? (state.newer.get(state.shown ?? '') ?? null) : null
  const waiting = newer === null ? waitingIn(state, outbox) : []
  const lastWaiting = waiting.at(-1)
  const byId = new Map(waiting.map((entry) => [entry.id, entry]))
  const path = pathTo(state, lastWaiting === undefined ? state.shown : rootOf(lastWaiting, byId))
  const lines: Line[] = [
    ...path,
    ...waiting.map((entry): OutgoingLine => ({ kind: 'outgoing', id: entry.id, entry })),
  ]
  const last = lines.filter((line) => line.kind === 'said' || line.entry.state !== 'refused').at(-1)
  return {
    lines,
    older: olderThan(state, path[0]),
    newer,
    running: runningIn(state, path, newer !== null),
    parentId: newer === null ? (last?.id ?? null) : state.tip,
    newerElsewhere: newerElsewhere(state),
    unanswered: unanswered(path, newer !== null || waiting.length > 0),
  }
}

function runningIn(
  state: ConversationState,
  path: readonly SaidLine[],
  isWindowed: boolean,
): View['running'] {
  const message = path.findLast((line) => isRunning(line.message))?.message
  if (message?.generation_id) return { generation: message.generation_id, isElsewhere: false }
  const generation = state.conversation?.generation_id ?? null
  if (generation === null) return null
  const elsewhere = [...state.messages.values()].find((each) => each.generation_id === generation)
  // The conversation may be older news than the message: a finished one is finished.
  if (elsewhere !== undefined && !isRunning(elsewhere)) return null
  if (elsewhere !== undefined) return { generation, isElsewhere: !isUnder(state, state.tip, elsewhere.id) }
  return { generation, isElsewhere: !isWindowed && state.shown === state.tip }
}

function newerElsewhere(state: ConversationState): View['newerElsewhere'] {
  const leafId = state.leaf.id
  if (leafId === null || isUnder(state, state.tip, leafId)) return null
  const leaf = state.messages.get(leafId)
  if (leaf === undefined || isDeleted(leaf)) return null
  const tip = state.tip === null ? undefined : state.messages.get(state.tip)
  return tip === undefined || leaf.seq > tip.seq ? { leafId } : null
}

function unanswered(path: readonly SaidLine[], goesOn: boolean): ReadonlySet<string> {
  const found = new Set<string>()
  path.forEach(({ id, message }, index) => {
    if (message.role !== 'user') return
    // A reply that failed says so itself, and can be asked for again where it stands.
    const next = path[index + 1]?.message
    if (next === undefined ? goesOn : next.role === 'assistant') return
    found.add(id)
  })
  return found
}
