/**
 * Fetched pages of a conversation, and what is known of it after each.
 *
 * A page is a stretch of the path to a leaf. It brings the whole list of siblings of each of its messages;
 * what a fetch of the conversation does not bring is forgotten, unless it stands on what is read.
 */
import type { Conversation, PathMessage } from '../api/types'
import {
  alongWithLeaf,
  type ConversationState,
  isDeleted,
  isUnder,
  parentKey,
  ROOT,
  settled,
  withConversation,
  withMessage,
} from './state'

export interface FetchedPage {
  /** The leaf the page was asked for. */
  leaf: string
  items: readonly PathMessage[]
  next: string | null
}

function withItems(state: ConversationState, items: readonly PathMessage[]): ConversationState {
  let next = state
  for (const { sibling_ids: ids, ...message } of items) {
    const key = parentKey(message.parent_id)
    // What was told after the page was read stays; what was taken out is not in it.
    const later = (next.siblings.get(key) ?? []).filter((id) => {
      const known = ids.includes(id) ? undefined : next.messages.get(id)
      return known !== undefined && !isDeleted(known)
    })
    next = { ...next, siblings: new Map(next.siblings).set(key, [...ids, ...later]) }
    next = { ...withMessage(next, message, false), tip: state.tip, leaf: state.leaf }
  }
  return next
}

/** A stretch of a path, with all siblings of each of its messages. */
export function applyPage(state: ConversationState, page: FetchedPage): ConversationState {
  const next = withItems(state, page.items)
  const first = page.items[0]
  if (first === undefined || page.next === null) return settled(next)
  const older = new Map(next.older).set(first.id, { leaf: page.leaf, before: page.next })
  return settled({ ...next, older })
}

/** What stands above a message, as far as it is known, with the message itself. */
function knownAbove(state: ConversationState, from: string | null): Set<string> {
  const found = new Set<string>()
  for (let id = from; id !== null && !found.has(id); id = state.messages.get(id)?.parent_id ?? null) {
    if (!state.messages.has(id)) break
    found.add(id)
  }
  return found
}

/** Only what is still true for certain once `page` has been fetched at `seq`. */
function withoutTheForgotten(state: ConversationState, page: FetchedPage, seq: number): ConversationState {
  const kept = new Set([
    ...page.items.map((each) => each.id),
    ...knownAbove(state, page.items[0]?.id ?? null),
    ...knownAbove(state, state.shown),
    ...knownAbove(state, state.tip),
  ])
  const messages = new Map([...state.messages].filter(([id, each]) => kept.has(id) || each.seq > seq))
  const parents = new Set([...messages.values()].map((each) => parentKey(each.parent_id)))
  const siblings = new Map<string, readonly string[]>()
  for (const [key, ids] of state.siblings) {
    if (parents.has(key) || messages.has(key)) siblings.set(key, ids)
  }
  return { ...state, messages, siblings }
}

/**
 * The conversation as fetched, with the newest page of the path to its leaf (null while it is empty or
 * nothing but the conversation was asked for). The first one takes the reader to the leaf.
 */
export function applyFetched(
  state: ConversationState,
  conversation: Conversation,
  page: FetchedPage | null,
): ConversationState {
  const isFirst = state.conversation === null
  const isCurrent = state.leaf.seq <= conversation.seq
  let next = withConversation({ ...state, gap: false }, conversation)
  if (page !== null) {
    next = withItems(withoutTheForgotten(next, page, conversation.seq), page.items)
    if (isCurrent && page.leaf === conversation.leaf_id && !next.siblings.has(page.leaf)) {
      next = { ...next, siblings: new Map(next.siblings).set(page.leaf, []) }
    }
    const first = page.items[0]
    if (first !== undefined && page.next !== null) {
      next = { ...next, older: new Map(next.older).set(first.id, { leaf: page.leaf, before: page.next }) }
    }
  } else if (conversation.leaf_id === null && isCurrent && !next.siblings.has(ROOT)) {
    next = { ...next, siblings: new Map(next.siblings).set(ROOT, []) }
  }
  if (isFirst || next.tip === null) next = { ...next, tip: next.leaf.id }
  return settled(alongWithLeaf(next))
}

/** The stretch of a path that surrounds a message. */
export interface FetchedStretch {
  leaf: string
  /** Ends with the message. */
  above: FetchedPage
  /** What follows it; `next` is the `after` of the page below. */
  below: FetchedPage
}

/** The reader looks at a stretch of the path to `leaf`, however far above it. */
export function applyStretch(state: ConversationState, stretch: FetchedStretch): ConversationState {
  const { leaf, above, below } = stretch
  let next = applyPage({ ...state, tip: leaf }, above)
  next = withItems(next, below.items)
  const end = (below.items.at(-1) ?? above.items.at(-1))?.id
  if (end === undefined) return settled(next)
  if (below.next === null) return settled({ ...next, newer: new Map(), ...childless(next, end) })
  const newer = new Map([[end, { leaf, after: below.next }]])
  return settled({ ...next, newer, shown: end })
}

/** The page below the stretch on screen. */
export function applyNewer(state: ConversationState, page: FetchedPage): ConversationState {
  const from = state.shown
  const next = withItems(state, page.items)
  const end = page.items.at(-1)?.id ?? from
  // The reader may have gone somewhere else while it was fetched.
  if (from === null || end === null || !state.newer.has(from) || !isUnder(next, end, from))
    return settled(next)
  if (page.next === null) return settled({ ...next, newer: new Map(), shown: end, ...childless(next, end) })
  return settled({ ...next, newer: new Map([[end, { leaf: page.leaf, after: page.next }]]), shown: end })
}

function childless(state: ConversationState, leaf: string): Pick<ConversationState, 'siblings'> {
  return { siblings: state.siblings.has(leaf) ? state.siblings : new Map(state.siblings).set(leaf, []) }
}
