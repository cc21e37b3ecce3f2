import type { Conversation } from '../api/types'

export function titleOf(conversation: Conversation | null): string {
  return conversation?.title || 'Untitled conversation'
}
