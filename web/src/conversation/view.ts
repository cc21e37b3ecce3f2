/** What stands on screen, worked out from what is known and what is still on its way to the server. */
import type { Message } from '../api/types'
import type { OutboxEntry } from './outbox'
import { type ConversationState, isRunning, type OlderPage, parentKey } from './state'

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
  /** The reply that is being written, on screen or on another branch. */
  running: { generation: string; isElsewhere: boolean } | null
  /** Where the next message goes. */
  parentId: string | null
}

function shownText(state: ConversationState, message: Message): string {
  const growing = state.live.get(message.id)
  if (growing === undefined || !isRunning(message)) return message.content
  if (message.generation_id !== null && growing.generation !== message.generation_id) return message.content
  return growing.text.length >= message.content.length ? growing.text : message.content
}

function pathTo(state: ConversationState, leaf: string | null): SaidLine[] {
  const path: SaidLine[] = []
  const seen = new Set<string>()
  for (let id = leaf; id !== null && !seen.has(id); ) {
    const message = state.messages.get(id)
    if (message === undefined) break
    seen.add(id)
    path.push({
      kind: 'said',
      id,
      message,
      text: shownText(state, message),
      siblings: state.siblings.get(parentKey(message.parent_id)) ?? [id],
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
function rootOfWaiting(entries: readonly OutboxEntry[]): string | null {
  const waiting = new Map(entries.map((entry) => [entry.id, entry]))
  let id = entries.at(-1)?.parentId ?? null
  for (let steps = 0; id !== null && steps <= entries.length; steps++) {
    const parent = waiting.get(id)
    if (parent === undefined) return id
    id = parent.parentId
  }
  return id
}

export function viewOf(state: ConversationState, outbox: readonly OutboxEntry[]): View {
  const waiting = outbox.filter((entry) => !state.messages.has(entry.id))
  const base = waiting.length > 0 ? rootOfWaiting(waiting) : state.shown
  const path = pathTo(state, base)
  const lines: Line[] = [
    ...path,
    ...waiting.map((entry): OutgoingLine => ({ kind: 'outgoing', id: entry.id, entry })),
  ]
  const last = lines.filter((line) => line.kind === 'said' || line.entry.state !== 'refused').at(-1)
  return {
    lines,
    older: olderThan(state, path[0]),
    running: runningIn(state, path),
    parentId: last?.id ?? null,
  }
}

function runningIn(state: ConversationState, path: readonly SaidLine[]): View['running'] {
  const message = path.findLast((line) => isRunning(line.message))?.message
  if (message?.generation_id) return { generation: message.generation_id, isElsewhere: false }
  const generation = state.conversation?.generation_id ?? null
  if (generation === null) return null
  const elsewhere = [...state.messages.values()].find((each) => each.generation_id === generation)
  // The conversation may be older news than the message: a finished one is finished.
  if (elsewhere !== undefined && !isRunning(elsewhere)) return null
  return { generation, isElsewhere: elsewhere !== undefined }
}
