/**
 * What the page knows of one conversation, and how it changes.
 *
 * Messages stand by id; the path on screen is followed from the leaf through `parent_id`, never stored.
 * Everything that arrives (pages, answers to requests, events) goes through the functions here. Each is
 * total and idempotent, and their order does not matter for the outcome: whole states carry a revision or
 * a place, and the larger one wins.
 *
 * A running reply's text comes twice: checkpointed in `message.content`, and as it grows in `live`, whose
 * `end` counts code points like the server's offsets. Text only grows within a generation, so the longer
 * one is shown until a final status settles it.
 */
import type { ServerEvent, TextEvent } from '../api/events'
import type { Conversation, Message, PathMessage, Sent } from '../api/types'
import { characters, withoutFirst } from './text'

export interface LiveText {
  text: string
  end: number
  generation: string
}

export interface OlderPage {
  leaf: string
  before: string
}

export interface ConversationState {
  readonly conversation: Conversation | null
  /** Where the reader stands, with the place it was told at. */
  readonly leaf: { readonly id: string | null; readonly seq: number }
  /** The leaf on screen: `leaf`, or the one before it until the path to `leaf` is known. */
  readonly shown: string | null
  readonly messages: ReadonlyMap<string, Message>
  readonly siblings: ReadonlyMap<string, readonly string[]>
  readonly live: ReadonlyMap<string, LiveText>
  /** For the first message of a fetched page: where the older page is. */
  readonly older: ReadonlyMap<string, OlderPage>
  /** A piece was missed; the conversation is to be fetched afresh. */
  readonly gap: boolean
}

export const nothingKnown: ConversationState = {
  conversation: null,
  leaf: { id: null, seq: -1 },
  shown: null,
  messages: new Map(),
  siblings: new Map(),
  live: new Map(),
  older: new Map(),
  gap: false,
}

const ROOT = 'root'

export function parentKey(parentId: string | null): string {
  return parentId ?? ROOT
}

export function isRunning(message: Message): boolean {
  return message.status === 'pending' || message.status === 'streaming'
}

function withSibling(state: ConversationState, message: Message): ReadonlyMap<string, readonly string[]> {
  const key = parentKey(message.parent_id)
  const known = state.siblings.get(key) ?? []
  if (known.includes(message.id)) return state.siblings
  // An id whose message is unknown came from a page, in order and before this one.
  const at = known.findIndex((id) => (state.messages.get(id)?.seq ?? -1) > message.seq)
  const place = at < 0 ? known.length : at
  return new Map(state.siblings).set(key, [...known.slice(0, place), message.id, ...known.slice(place)])
}

function withMessage(state: ConversationState, message: Message): ConversationState {
  const known = state.messages.get(message.id)
  if (known !== undefined && known.revision >= message.revision) return state
  const messages = new Map(state.messages).set(message.id, message)
  let live = state.live
  const growing = live.get(message.id)
  if (growing !== undefined && !isRunning(message) && growing.generation === message.generation_id) {
    live = new Map(live)
    ;(live as Map<string, LiveText>).delete(message.id)
  }
  const leaf =
    known === undefined && message.parent_id === state.leaf.id
      ? { id: message.id, seq: Math.max(message.seq, state.leaf.seq) }
      : state.leaf
  return { ...state, messages, live, leaf, siblings: withSibling(state, message) }
}

function withConversation(state: ConversationState, conversation: Conversation): ConversationState {
  if (state.conversation !== null && state.conversation.seq > conversation.seq) return state
  const leaf =
    conversation.seq >= state.leaf.seq ? { id: conversation.leaf_id, seq: conversation.seq } : state.leaf
  return { ...state, conversation, leaf }
}

function withText(state: ConversationState, event: TextEvent, replaces: boolean): ConversationState {
  const message = state.messages.get(event.message_id)
  const settled = message !== undefined && !isRunning(message)
  if (settled && message.generation_id === event.generation_id) return state
  const growing = state.live.get(event.message_id)
  const base = growing?.generation === event.generation_id ? growing : undefined
  const text = base?.text ?? message?.content ?? ''
  const end = base?.end ?? characters(text)

  let next: LiveText
  if (replaces && event.offset === 0) {
    // A snapshot told twice is a beginning of what is known by now.
    if (base !== undefined && text.startsWith(event.text)) return state
    next = { text: event.text, end: characters(event.text), generation: event.generation_id }
  } else if (event.offset > end) {
    return state.gap ? state : { ...state, gap: true }
  } else {
    const added = withoutFirst(event.text, end - event.offset)
    if (added === '' && base !== undefined) return state
    next = { text: text + added, end: end + characters(added), generation: event.generation_id }
  }
  return { ...state, live: new Map(state.live).set(event.message_id, next) }
}

export function applyEvent(state: ConversationState, event: ServerEvent): ConversationState {
  return settled(withEvent(state, event))
}

function withEvent(state: ConversationState, event: ServerEvent): ConversationState {
  switch (event.type) {
    case 'conversation.changed':
      return withConversation(state, event.conversation)
    case 'message.changed': {
      const next = withMessage(state, event.message)
      return event.conversation === null ? next : withConversation(next, event.conversation)
    }
    case 'snapshot':
      return withText(state, event, true)
    case 'delta':
      return withText(state, event, false)
    case 'resync':
      return state.gap ? state : { ...state, gap: true }
    case 'ready':
      return state
  }
}

/** Whether everything between a leaf and the root, or the top of a fetched page, is known. */
function isConnected(state: ConversationState, leaf: string | null): boolean {
  let id = leaf
  for (let steps = 0; id !== null && steps <= state.messages.size; steps++) {
    const message = state.messages.get(id)
    if (message === undefined) return false
    if (state.older.has(id)) return true
    id = message.parent_id
  }
  return id === null
}

/** The same state, on screen what is known of it. */
function settled(state: ConversationState): ConversationState {
  if (state.shown === state.leaf.id) return state
  return isConnected(state, state.leaf.id) ? { ...state, shown: state.leaf.id } : state
}

/**
 * Whether something was missed. To be asked after all that came together: the first event of a send names
 * the reply as the leaf, and the second brings it.
 */
export function isLacking(state: ConversationState): boolean {
  return state.gap || state.shown !== state.leaf.id
}

export interface FetchedPage {
  /** The leaf the page was asked for. */
  leaf: string
  items: readonly PathMessage[]
  next: string | null
}

/** A stretch of a path, with all siblings of each of its messages. */
export function applyPage(state: ConversationState, page: FetchedPage): ConversationState {
  let next = state
  const siblings = new Map(state.siblings)
  for (const { sibling_ids: ids, ...message } of page.items) {
    next = withMessage({ ...next, siblings }, message)
    const key = parentKey(message.parent_id)
    const newer = (state.siblings.get(key) ?? []).filter((id) => !ids.includes(id))
    siblings.set(key, [...ids, ...newer])
  }
  const first = page.items[0]
  const older = new Map(state.older)
  if (first !== undefined && page.next !== null) older.set(first.id, { leaf: page.leaf, before: page.next })
  return settled({ ...next, siblings, older, leaf: state.leaf })
}

/** The conversation as fetched, with the newest page of its path (null while it is empty). */
export function applyFetched(
  state: ConversationState,
  conversation: Conversation,
  page: FetchedPage | null,
): ConversationState {
  const known = withConversation({ ...state, gap: false }, conversation)
  return page === null ? settled(known) : applyPage(known, page)
}

/** What a send, a regenerate or a continue stored; the reader goes along to the new leaf. */
export function applySent(state: ConversationState, sent: Sent): ConversationState {
  let next = withMessage(state, sent.message)
  if (sent.reply !== null) next = withMessage(next, sent.reply)
  const last = sent.reply ?? sent.message
  if (!state.messages.has(last.id)) {
    next = { ...next, leaf: { id: last.id, seq: Math.max(last.seq, next.leaf.seq) } }
  }
  return settled(next)
}

/** A message as an answer to a request tells it. */
export function applyMessage(state: ConversationState, message: Message): ConversationState {
  return settled(withMessage(state, message))
}
