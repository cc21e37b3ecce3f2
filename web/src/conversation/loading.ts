/** The pages of a conversation, as they are fetched. */
import type { Api } from '../api/client'
import type { Conversation } from '../api/types'
import type { FetchedPage, OlderPage } from './state'

const PAGE = 50

/** The newest page of the path to a conversation's leaf; null while it is empty. */
export async function newestPage(api: Api, conversation: Conversation): Promise<FetchedPage | null> {
  const leaf = conversation.leaf_id
  if (leaf === null) return null
  return { ...(await api.messages(conversation.id, { leaf_id: leaf, limit: PAGE })), leaf }
}

export async function olderPage(api: Api, id: string, { leaf, before }: OlderPage): Promise<FetchedPage> {
  return { ...(await api.messages(id, { leaf_id: leaf, before, limit: PAGE })), leaf }
}
