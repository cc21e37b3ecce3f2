import { describe, expect, it } from 'vitest'
import type { Conversation, Shelf } from '../api/types'
import { one } from './conversations.fixture'
import { byListOrder, withConversation } from './ordering'

function listed(
  conversations: Conversation[],
  changed: Conversation,
  shelf: Shelf = 'active',
  next: string | null = null,
): string[] {
  const pages = { pages: [{ items: conversations, next }], pageParams: [null] }
  return (
    withConversation(pages, changed, shelf)?.pages.flatMap(({ items }) => items.map(({ id }) => id)) ?? []
  )
}

describe('the list of active conversations', () => {
  const pinned = one('pinned', { pinned: true, activity: 2 })
  const young = one('young', { activity: 5 })
  const old = one('old', { activity: 1 })
  const all = [pinned, young, old]

  it('has the pinned ones first, then the latest activity', () => {
    expect(listed(all, one('old', { seq: 2, activity: 9 }))).toEqual(['pinned', 'old', 'young'])
    expect(listed(all, one('old', { seq: 2, pinned: true, activity: 9 }))).toEqual(['old', 'pinned', 'young'])
  })

  it('is ordered by activity where the clock says nothing, or was set back', () => {
    const same = { updated_at: 100 }
    const before = [one('b', { ...same, activity: 3 }), one('a', { ...same, activity: 2 })]
    expect(listed(before, one('c', { ...same, activity: 4 }))).toEqual(['c', 'b', 'a'])
    expect(listed(before, one('a', { seq: 2, updated_at: 50, activity: 4 }))).toEqual(['a', 'b'])
    // What arrives late stands where it stood, not at the top.
    expect(listed(before, one('late', { updated_at: 999, activity: 1 }))).toEqual(['b', 'a', 'late'])
  })

  it('goes by ids downwards where two have one activity, as the server does', () => {
    expect(listed([one('c'), one('a')], one('b'))).toEqual(['c', 'b', 'a'])
    expect([one('a'), one('c'), one('b')].toSorted(byListOrder('active')).map(({ id }) => id)).toEqual([
      'c',
      'b',
      'a',
    ])
  })

  it('loses what is archived or deleted, and gets it back in its place', () => {
    expect(listed(all, { ...young, seq: 2, archived_at: 7 })).toEqual(['pinned', 'old'])
    expect(listed(all, { ...young, seq: 2, deleted_at: 7 })).toEqual(['pinned', 'old'])
    expect(listed([pinned, old], { ...young, seq: 3 })).toEqual(['pinned', 'young', 'old'])
  })

  it('is not set back by older news', () => {
    expect(listed([one('a', { seq: 4 })], one('a', { seq: 3, archived_at: 1 }))).toEqual(['a'])
  })

  it('leaves what stands behind its loaded pages to the page that brings it', () => {
    const behind = one('behind', { activity: 0 })
    expect(listed(all, behind, 'active', 'more')).toEqual(['pinned', 'young', 'old'])
    expect(listed(all, behind)).toEqual(['pinned', 'young', 'old', 'behind'])
  })
})

describe('the lists of what is put away', () => {
  const away = { archived_at: 7 }
  const list = [one('b', { ...away, activity: 5 }), one('a', { ...away, activity: 3, pinned: true })]

  it('are ordered by activity alone: a pin does not count there', () => {
    expect(listed(list, one('c', { ...away, activity: 4, pinned: true }), 'archived')).toEqual([
      'b',
      'c',
      'a',
    ])
    expect(listed(list, one('a', { ...away, seq: 2, activity: 9 }), 'archived')).toEqual(['a', 'b'])
  })

  it('lose what is brought back or goes to the other one', () => {
    expect(listed(list, one('b', { seq: 2 }), 'archived')).toEqual(['a'])
    expect(listed(list, one('b', { ...away, seq: 2, deleted_at: 8 }), 'archived')).toEqual(['a'])
    expect(listed([], one('b', { ...away, deleted_at: 8 }), 'trash')).toEqual(['b'])
  })
})
