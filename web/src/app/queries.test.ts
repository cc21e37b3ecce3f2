import { describe, expect, it } from 'vitest'
import type { Conversation } from '../api/types'
import { withConversation } from './queries'

function one(id: string, more: Partial<Conversation> = {}): Conversation {
  return {
    id,
    seq: 1,
    updated_at: 1,
    pinned: false,
    archived_at: null,
    deleted_at: null,
    ...more,
  } as Conversation
}

function listed(conversations: Conversation[], changed: Conversation): string[] {
  const pages = { pages: [{ items: conversations, next: null }], pageParams: [null] }
  return withConversation(pages, changed)?.pages.flatMap(({ items }) => items.map(({ id }) => id)) ?? []
}

describe('the list of conversations at hand', () => {
  const all = [one('pinned', { pinned: true }), one('young', { updated_at: 5 }), one('old')]

  it('has the pinned ones first, then the newest activity', () => {
    expect(listed(all, one('old', { seq: 2, updated_at: 9 }))).toEqual(['pinned', 'old', 'young'])
    expect(listed(all, one('old', { seq: 2, pinned: true, updated_at: 9 }))).toEqual([
      'old',
      'pinned',
      'young',
    ])
  })

  it('loses what is archived or deleted, and gets it back in its place', () => {
    expect(listed(all, one('young', { seq: 2, archived_at: 7 }))).toEqual(['pinned', 'old'])
    expect(listed(all, one('young', { seq: 2, deleted_at: 7 }))).toEqual(['pinned', 'old'])
    expect(
      listed([all[0] as Conversation, all[2] as Conversation], one('young', { seq: 3, updated_at: 5 })),
    ).toEqual(['pinned', 'young', 'old'])
  })

  it('is not set back by older news', () => {
    expect(listed([one('a', { seq: 4 })], one('a', { seq: 3, archived_at: 1 }))).toEqual(['a'])
  })
})
