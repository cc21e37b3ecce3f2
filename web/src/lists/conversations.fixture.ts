import type { Conversation } from '../api/types'

/** A conversation of the list, with what orders it there. */
export function one(id: string, more: Partial<Conversation> = {}): Conversation {
  return {
    id,
    seq: 1,
    updated_at: 1,
    activity: 1,
    pinned: false,
    archived_at: null,
    deleted_at: null,
    ...more,
  } as Conversation
}
