import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { MessageDraft } from '../api/client'
import { ApiError, unreachable } from '../api/problems'
import type { Message, Sent } from '../api/types'
import { Outbox } from './outbox'

const sent = (draft: MessageDraft): Sent => ({
  message: { id: draft.id, parent_id: draft.parent_id } as Message,
  reply: null,
  generation_id: null,
  branched: false,
})

const refusal = new ApiError(422, 'too_large', 'A message has at most 200,000 characters.', false)

function message(content: string, parentId: string | null = null) {
  return { conversationId: 'c', parentId, content }
}

const states = (outbox: Outbox) => outbox.entries().map((entry) => entry.state)

describe('the outbox', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('holds a message until it is acknowledged', async () => {
    const outbox = new Outbox(async (_, draft) => sent(draft))
    const told = vi.fn()
    outbox.onSent(told)
    const id = outbox.send(message('Aye'))
    expect(states(outbox)).toEqual(['saving'])
    await vi.runAllTimersAsync()
    expect(outbox.entries()).toEqual([])
    expect(told.mock.calls[0]?.[1].message.id).toBe(id)
  })

  it('tries four times under one id, then says not saved and keeps the text', async () => {
    const tried: string[] = []
    const outbox = new Outbox(async (_, draft) => {
      tried.push(draft.id)
      throw unreachable()
    })
    const id = outbox.send(message('Aye'))
    await vi.runAllTimersAsync()
    expect(tried).toEqual([id, id, id, id])
    expect(outbox.entries()[0]).toMatchObject({
      state: 'unsaved',
      content: 'Aye',
      problem: 'The server is not answering.',
    })
  })

  it('sends again under the same id when it is asked to', async () => {
    let isAway = true
    const post = vi.fn(async (_: string, draft: MessageDraft) => {
      if (isAway) throw unreachable()
      return sent(draft)
    })
    const outbox = new Outbox(post)
    const id = outbox.send(message('Aye'))
    await vi.runAllTimersAsync()
    isAway = false
    outbox.retryAll()
    await vi.runAllTimersAsync()
    expect(outbox.entries()).toEqual([])
    expect(new Set(post.mock.calls.map(([, draft]) => draft.id))).toEqual(new Set([id]))
  })

  it('keeps the order of a conversation, and another one does not wait for it', async () => {
    const posted: string[] = []
    const outbox = new Outbox(async (conversation, draft) => {
      posted.push(draft.content)
      if (conversation === 'c') throw unreachable()
      return sent(draft)
    })
    const first = outbox.send(message('one'))
    outbox.send(message('two', first))
    outbox.send({ conversationId: 'd', parentId: null, content: 'elsewhere' })
    await vi.runAllTimersAsync()
    expect(posted).not.toContain('two')
    expect(posted).toContain('elsewhere')
    expect(states(outbox)).toEqual(['unsaved', 'waiting'])
  })

  it('keeps what is refused, with the reason, and lets the next one by in its place', async () => {
    const posted: MessageDraft[] = []
    const outbox = new Outbox(async (_, draft) => {
      posted.push(draft)
      if (draft.content === 'too long') throw refusal
      return sent(draft)
    })
    const first = outbox.send(message('too long', 'p'))
    outbox.send(message('short', first))
    await vi.runAllTimersAsync()
    expect(outbox.entries()).toMatchObject([{ id: first, state: 'refused', problem: refusal.detail }])
    expect(posted.at(-1)).toMatchObject({ content: 'short', parent_id: 'p' })
  })

  it('puts what waited under the reply that the message before has begun', async () => {
    const posted: MessageDraft[] = []
    const outbox = new Outbox(async (_, draft) => {
      posted.push(draft)
      const reply = draft.content === 'one' ? ({ id: 'r' } as Message) : null
      return { ...sent(draft), reply }
    })
    const first = outbox.send(message('one'))
    const second = outbox.send(message('two', first))
    outbox.send(message('three', second))
    await vi.runAllTimersAsync()
    expect(posted.map(({ content, parent_id }) => [content, parent_id])).toEqual([
      ['one', null],
      ['two', 'r'],
      ['three', second],
    ])
  })

  it('lets go of a message only by hand', async () => {
    const outbox = new Outbox(async () => {
      throw refusal
    })
    const id = outbox.send(message('Aye'))
    outbox.discard(id)
    expect(outbox.entries()).toHaveLength(1)
    await vi.runAllTimersAsync()
    outbox.discard(id)
    expect(outbox.entries()).toEqual([])
  })
})
