/** The pages of a conversation, as they are fetched. */
import type { Api } from '../api/client'
import { ApiError } from '../api/problems'
import type { Conversation } from '../api/types'
import type { FetchedPage, FetchedStretch } from './pages'
import type { NewerPage, OlderPage } from './state'

const PAGE = 50
/** Messages above and below the one that somebody wants to see. */
const AROUND = 25

/** The newest page of the path to a conversation's leaf; null while it is empty. */
export async function newestPage(api: Api, conversation: Conversation): Promise<FetchedPage | null> {
  const leaf = conversation.leaf_id
  return leaf === null ? null : pageTo(api, conversation.id, leaf)
}

/** The newest page of the path to a message. */
export async function pageTo(api: Api, id: string, leaf: string): Promise<FetchedPage> {
  return { ...(await api.messages(id, { leaf_id: leaf, limit: PAGE })), leaf }
}

export async function olderPage(api: Api, id: string, { leaf, before }: OlderPage): Promise<FetchedPage> {
  return { ...(await api.messages(id, { leaf_id: leaf, before, limit: PAGE })), leaf }
}

export async function newerPage(api: Api, id: string, { leaf, after }: NewerPage): Promise<FetchedPage> {
  return { ...(await api.messages(id, { leaf_id: leaf, after, limit: PAGE })), leaf }
}

/** What surrounds a message on the path to `leaf`; null when that path does not lead through it. */
export async function stretchAround(
  api: Api,
  id: string,
  { message, leaf }: { message: string; leaf: string },
): Promise<FetchedStretch | null> {
  try {
    const [above, below] = await Promise.all([
      api.messages(id, { leaf_id: message, limit: AROUND }),
      message === leaf
        ? { items: [], next: null }
        : api.messages(id, { leaf_id: leaf, after: message, limit: AROUND }),
    ])
    if (message !== leaf && below.items[0]?.parent_id !== message) return null
    return { leaf, above: { ...above, leaf: message }, below: { ...below, leaf } }
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 422)) return null
    throw error
  }
}
