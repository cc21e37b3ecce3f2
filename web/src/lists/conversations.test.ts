import { InfiniteQueryObserver, QueryClient } from '@tanstack/react-query'
import { describe, expect, it, vi } from 'vitest'
import { api } from '../api/client'
import type { Conversation, ConversationPage } from '../api/types'
import { CONVERSATIONS, forgetConversation, listOf, noteConversation, shelfKey } from './conversations'
import { one } from './conversations.fixture'
import type { Pages } from './ordering'

describe('a list that is being fetched', () => {
  /** Fetch a list that was read before `news` was told and arrives after it; which ids and seqs it has. */
  async function fetchedAround(
    known: Conversation[] | null,
    read: Conversation[],
    news: (client: QueryClient) => void,
  ): Promise<[string, number][]> {
    const client = new QueryClient()
    if (known !== null) {
      client.setQueryData(CONVERSATIONS, { pages: [{ items: known, next: null }], pageParams: [null] })
    }
    let arrive = (_: ConversationPage) => {}
    vi.spyOn(api, 'conversationsIn').mockReturnValue(new Promise((resolve) => (arrive = resolve)))
    const list = new InfiniteQueryObserver(client, listOf('active'))
    const leave = list.subscribe(() => {})
    const fetched = list.refetch()
    news(client)
    arrive({ items: read, next: null })
    const { data } = await fetched
    leave()
    return data?.pages.flatMap(({ items }) => items.map(({ id, seq }): [string, number] => [id, seq])) ?? []
  }

  it('is not set back by what was read before the latest news', async () => {
    const told = (client: QueryClient) => noteConversation(one('a', { seq: 3, activity: 9 }), client)
    const read = [one('b', { activity: 5 }), one('a')]
    for (const known of [null, read]) {
      expect(await fetchedAround(known, read, told)).toEqual([
        ['a', 3],
        ['b', 1],
      ])
    }
  })

  it('does not bring back what is gone, nor what was put away', async () => {
    const told = (client: QueryClient) => {
      forgetConversation('a', client)
      noteConversation(one('b', { seq: 2, archived_at: 7 }), client)
    }
    const read = [one('a'), one('b'), one('c')]
    expect(await fetchedAround(read, read, told)).toEqual([['c', 1]])
  })

  it('has what is put away meanwhile, in the archive and in the trash as well', async () => {
    const client = new QueryClient()
    for (const shelf of ['archived', 'trash'] as const) {
      client.setQueryData(shelfKey(shelf), { pages: [{ items: [], next: null }], pageParams: [null] })
    }
    const shown = (shelf: 'archived' | 'trash') =>
      client.getQueryData<Pages>(shelfKey(shelf))?.pages.flatMap(({ items }) => items.map(({ id }) => id))
    noteConversation(one('a', { archived_at: 7 }), client)
    expect([shown('archived'), shown('trash')]).toEqual([['a'], []])
    noteConversation(one('a', { seq: 2, archived_at: 7, deleted_at: 8 }), client)
    expect([shown('archived'), shown('trash')]).toEqual([[], ['a']])
  })

  it('takes what was read after the news', async () => {
    const told = (client: QueryClient) => noteConversation(one('a', { seq: 3 }), client)
    expect(await fetchedAround(null, [one('a', { seq: 4 })], told)).toEqual([['a', 4]])
  })

  it('holds nothing against a list that was asked for after it was told', async () => {
    noteConversation(one('a', { seq: 3 }))
    expect(await fetchedAround(null, [one('b')], () => {})).toEqual([['b', 1]])
  })
})
