/** The whole path to a leaf, fetched page by page, as Markdown. */
import { api } from '../api/client'
import { withRetries } from '../api/retrying'
import type { Conversation, PathMessage } from '../api/types'
import { titleOf } from '../ui/titles'
import { allAsMarkdown } from './markdown'

const PAGE = 500

export async function pathAsMarkdown(conversation: Conversation): Promise<string> {
  const leaf = conversation.leaf_id
  const found: PathMessage[] = []
  for (let before: string | undefined; leaf !== null; ) {
    const page = await withRetries(() =>
      api.messages(conversation.id, { leaf_id: leaf, limit: PAGE, ...(before !== undefined && { before }) }),
    )
    found.unshift(...page.items)
    if (page.next === null) break
    before = page.next
  }
  return allAsMarkdown(titleOf(conversation), found)
}
