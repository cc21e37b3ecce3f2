/**
 * What the page knows of one conversation, and how it changes.
 *
 * Messages stand by id; the path on screen is followed from its lower end through `parent_id`, never
 * stored. Everything that arrives goes through the functions here and, where it is pages, in `pages.ts`.
 * Each is total and idempotent, and events applied to what was fetched before give what would be fetched
 * now, or say that something is lacking: whole states carry a revision or a place, and the larger one wins.
 *
 * Three places are told apart. `leaf` is where the server says the account stands in the tree; any device
 * moves it. `tip` is the end of the branch that is read here: it goes along with what is said under it and
 * with what this reader does, and otherwise stays, so that nobody's page is turned by another device.
 * `shown` is the last message on screen: the tip, or the end of a stretch far above it.
 *
 * A list of siblings is either known whole or not at all: a page brings the lists of its path, and a
 * message that was just added has no children yet. What a fetch does not bring is forgotten.
 *
 * A running reply's text comes twice: checkpointed in `message.content`, and as it grows in `live`, whose
 * `end` counts code points like the server's offsets. Text only grows within a generation, so the longer
 * one is shown until a final status settles it.
 */
import type { ServerEvent, TextEvent } from '../api/events'
import type { Conversation, Message, Sent } from '../api/types'
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

export interface NewerPage {
  leaf: string
  after: string
}

export interface ConversationState {
  readonly conversation: Conversation | null
  /** The server's active leaf, with the place it was told at. */
  readonly leaf: { readonly id: string | null; readonly seq: number }
  /** The end of the branch that is read here. */
  readonly tip: string | null
  /** The last message on screen; stays what it was until the path to `tip` is known. */
  readonly shown: string | null
  readonly messages: ReadonlyMap<string, Message>
  readonly siblings: ReadonlyMap<string, readonly string[]>
  readonly live: ReadonlyMap<string, LiveText>
  /** For the first message of a fetched page: where the older page is. */
  readonly older: ReadonlyMap<string, OlderPage>
  /** For the last message of a stretch above the tip: where the newer page is. */
  readonly newer: ReadonlyMap<string, NewerPage>
  /** What this reader is doing: messages that take him along once they are there. */
  readonly expected: ReadonlySet<string>
  /** A piece was missed; the conversation is to be fetched afresh. */
  readonly gap: boolean
}

export const nothingKnown: ConversationState = {
  conversation: null,
  leaf: { id: null, seq: -1 },
  tip: null,
  shown: null,
  messages: new Map(),
  siblings: new Map(),
  live: new Map(),
  older: new Map(),
  newer: new Map(),
  expected: new Set(),
  gap: false,
}

export const ROOT = 'root'

export function parentKey(parentId: string | null): string {
  return parentId ?? ROOT
}

export function isRunning(message: Message): boolean {
  return message.status === 'pending' || message.status === 'streaming'
}

/** Whether its branch was taken out of the tree: the message is hidden with all that is under it. */
export function isDeleted(message: Message): boolean {
  return (message.deleted_at ?? null) !== null
}

/** Whether `id` is `above` or stands under it, as far as is known. */
export function isUnder(state: ConversationState, id: string | null, above: string | null): boolean {
  if (id === above) return true
  const least = above === null ? 0 : (state.messages.get(above)?.seq ?? Number.POSITIVE_INFINITY)
  for (let at = id; at !== null; ) {
    const message = state.messages.get(at)
    if (message === undefined || message.seq < least || message.parent_id === at) return false
    at = message.parent_id
    if (at === above) return true
    // A parent was stored before its child; anything else is a ring.
    if (at !== null && (state.messages.get(at)?.seq ?? -1) >= message.seq) return false
  }
  return above === null
}

function bySeq(a: Message, b: Message): number {
  return a.seq - b.seq
}

function withSibling(state: ConversationState, message: Message, isAdded: boolean): ConversationState {
  const key = parentKey(message.parent_id)
  const known = state.siblings.get(key)
  if (known === undefined || known.includes(message.id)) return state
  if (isAdded) {
    const after = known.findIndex((id) => (state.messages.get(id)?.seq ?? -1) > message.seq)
    const place = after < 0 ? known.length : after
    const list = [...known.slice(0, place), message.id, ...known.slice(place)]
    return { ...state, siblings: new Map(state.siblings).set(key, list) }
  }
  // It came back among others: where it belongs is known only if all of them are.
  const others = known.map((id) => state.messages.get(id))
  if (others.includes(undefined)) return { ...state, gap: true }
  const list = [...(others as Message[]), message].sort(bySeq).map((each) => each.id)
  return { ...state, siblings: new Map(state.siblings).set(key, list) }
}

/** `isAdded`: nothing can stand under it yet that has not been or will not be told. */
export function withMessage(state: ConversationState, message: Message, isAdded: boolean): ConversationState {
  const known = state.messages.get(message.id)
  if (known !== undefined && known.revision >= message.revision) return state
  let next: ConversationState = { ...state, messages: new Map(state.messages).set(message.id, message) }

  const growing = state.live.get(message.id)
  if (growing !== undefined && !isRunning(message) && growing.generation === message.generation_id) {
    const live = new Map(state.live)
    live.delete(message.id)
    next = { ...next, live }
  }

  next = withSibling(next, message, isAdded)
  if (isAdded && !next.siblings.has(message.id)) {
    const children = [...next.messages.values()].filter((each) => each.parent_id === message.id)
    const list = children.sort(bySeq).map((each) => each.id)
    next = { ...next, siblings: new Map(next.siblings).set(message.id, list) }
  }

  if (known !== undefined || isDeleted(message)) return next
  if (message.parent_id === state.leaf.id) {
    next = { ...next, leaf: { id: message.id, seq: Math.max(message.seq, state.leaf.seq) } }
  }
  const goesAlong = state.expected.has(message.id) || (isAdded && message.parent_id === state.tip)
  return goesAlong ? { ...next, tip: message.id } : next
}

export function withConversation(state: ConversationState, conversation: Conversation): ConversationState {
  if (state.conversation !== null && state.conversation.seq > conversation.seq) return state
  const leaf =
    conversation.seq >= state.leaf.seq ? { id: conversation.leaf_id, seq: conversation.seq } : state.leaf
  return alongWithLeaf({ ...state, conversation, leaf })
}

/** The reader goes along where the leaf stands under what is read; elsewhere he stays. */
export function alongWithLeaf(state: ConversationState): ConversationState {
  if (state.tip === state.leaf.id || state.tip === null || state.leaf.id === null) return state
  return isUnder(state, state.leaf.id, state.tip) ? { ...state, tip: state.leaf.id } : state
}

/** What is read was taken out of the tree: the reader goes where the server says. */
function outOfTheDeleted(state: ConversationState, id: string): ConversationState {
  if (state.tip === null || !isUnder(state, state.tip, id)) return state
  return { ...state, tip: state.leaf.id, newer: new Map() }
}

function withText(state: ConversationState, event: TextEvent, replaces: boolean): ConversationState {
  const message = state.messages.get(event.message_id)
  const isSettled = message !== undefined && !isRunning(message)
  if (isSettled && message.generation_id === event.generation_id) return state
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

/** A message that the server has acknowledged to another tab; its conversation is not told with it. */
export type Acknowledged = { type: 'message.changed'; seq: number; conversation: null; message: Message }

export function applyEvent(state: ConversationState, event: ServerEvent | Acknowledged): ConversationState {
  return settled(withEvent(state, event))
}

function withEvent(state: ConversationState, event: ServerEvent | Acknowledged): ConversationState {
  switch (event.type) {
    case 'conversation.changed':
      return withConversation(state, event.conversation)
    case 'message.changed': {
      const { message, conversation } = event
      const told = withMessage(state, message, event.seq === message.seq)
      const next = conversation === null ? told : withConversation(told, conversation)
      return isDeleted(message) ? outOfTheDeleted(next, message.id) : alongWithLeaf(next)
    }
    case 'snapshot':
      return withText(state, event, true)
    case 'delta':
      return withText(state, event, false)
    case 'resync':
      return state.gap ? state : { ...state, gap: true }
    case 'ready':
    case 'health':
    case 'job.changed':
    case 'conversation.gone':
      return state
    default:
      return event satisfies never
  }
}

/** Whether everything between a message and the root, or the top of a fetched page, is known. */
function isConnected(state: ConversationState, from: string | null): boolean {
  let id = from
  for (let steps = 0; id !== null && steps <= state.messages.size; steps++) {
    const message = state.messages.get(id)
    if (message === undefined || !state.siblings.has(parentKey(message.parent_id))) return false
    if (state.older.has(id)) return true
    id = message.parent_id
  }
  return id === null
}

/** Whether a stretch above the tip is on screen, with more below it that is not loaded. */
export function isWindow(state: ConversationState): boolean {
  return state.shown !== null && state.newer.has(state.shown) && !isUnder(state, state.tip, state.shown)
}

/** The same state, on screen what is known of it. */
export function settled(state: ConversationState): ConversationState {
  if (state.shown === state.tip || isWindow(state)) return state
  return isConnected(state, state.tip) ? { ...state, shown: state.tip } : state
}

/**
 * Whether something was missed. To be asked after all that came together: the first event of a send names
 * the reply as the leaf, and the second brings it.
 */
export function isLacking(state: ConversationState): boolean {
  return state.gap || (state.shown !== state.tip && !isWindow(state))
}

/** The reader goes to the server's active leaf. */
export function goneToLeaf(state: ConversationState): ConversationState {
  return settled({ ...state, tip: state.leaf.id, newer: new Map() })
}

/** From a stretch above, the reader goes back to the end of what is read. */
export function goneToTip(state: ConversationState): ConversationState {
  return state.newer.size === 0 ? state : settled({ ...state, newer: new Map() })
}

/** This reader is about to make that message and will go along with it. */
export function expecting(state: ConversationState, id: string): ConversationState {
  return { ...state, expected: new Set(state.expected).add(id) }
}

/** What a send, a regenerate or a continue stored; the reader goes along to the end of it. */
export function applySent(state: ConversationState, sent: Sent): ConversationState {
  let next = withMessage(state, sent.message, true)
  if (sent.reply !== null) next = withMessage(next, sent.reply, true)
  const last = sent.reply ?? sent.message
  if (next.leaf.seq < last.seq) next = { ...next, leaf: { id: last.id, seq: last.seq } }
  if (!isUnder(next, next.tip, last.id)) next = { ...next, tip: last.id }
  return settled(next)
}

/** A message as an answer to a request tells it. */
export function applyMessage(state: ConversationState, message: Message): ConversationState {
  return settled(withMessage(state, message, false))
}
