import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Api } from '../api/client'
import type { ServerEvent } from '../api/events'
import type { Live } from '../api/live'
import { ApiError, unreachable } from '../api/problems'
import type { Conversation, Message, PathMessage } from '../api/types'
import { Outbox } from '../outbox/outbox'
import { ConversationRuntime } from './runtime'

const conversation = { id: 'c', title: '', seq: 5, leaf_id: 'r', generation_id: 'g' } as Conversation
const asked = {
  id: 'q',
  conversation_id: 'c',
  seq: 1,
  parent_id: null,
  role: 'user',
  content: 'Who?',
  status: 'complete',
  revision: 1,
  sibling_ids: ['q'],
}
const reply = {
  ...asked,
  id: 'r',
  seq: 2,
  parent_id: 'q',
  role: 'assistant',
  content: '',
  status: 'pending',
  generation_id: 'g',
  sibling_ids: ['r'],
}

const unfollow = vi.fn()

function opened(more: Partial<Api> = {}) {
  let tell: (event: ServerEvent) => void = () => {}
  const api = {
    conversation: vi.fn(async () => conversation),
    messages: vi.fn(async () => ({ items: [asked, reply] as unknown as PathMessage[], next: null })),
    ...more,
  }
  const live = {
    subscribe: (listener: typeof tell) => {
      tell = listener
      return () => {}
    },
    follow: vi.fn(() => unfollow),
    refollow: vi.fn(),
  }
  const outbox = new Outbox({ post: () => new Promise(() => {}) })
  const runtime = new ConversationRuntime('c', {
    api: api as unknown as Api,
    live: live as unknown as Live,
    outbox,
  })
  const close = runtime.open()
  return { runtime, close, api, live, outbox, tell: (event: ServerEvent) => tell(event) }
}

const delta = (offset: number, text: string): ServerEvent => ({
  type: 'delta',
  conversation_id: 'c',
  message_id: 'r',
  generation_id: 'g',
  offset,
  text,
})

const last = (runtime: ConversationRuntime) => {
  const line = runtime.shown.read().view.lines.at(-1)
  return line?.kind === 'said' ? line.text : line?.entry.content
}

describe('an open conversation', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    unfollow.mockClear()
  })
  afterEach(() => void vi.useRealTimers())

  it('is followed from the place at which it was loaded', async () => {
    const { runtime, live } = opened()
    expect(runtime.shown.read().phase).toBe('loading')
    await vi.advanceTimersByTimeAsync(100)
    expect(runtime.shown.read().phase).toBe('ready')
    expect(live.follow).toHaveBeenCalledExactlyOnceWith('c', 5)
  })

  it('that could not be loaded is followed once it could', async () => {
    const fetch = vi.fn(async () => conversation).mockRejectedValueOnce(unreachable())
    const { runtime, live } = opened({ conversation: fetch })
    await vi.advanceTimersByTimeAsync(100)
    expect(runtime.shown.read()).toMatchObject({ phase: 'failed', problem: 'The server is not answering.' })
    await runtime.load()
    expect(runtime.shown.read().phase).toBe('ready')
    expect(live.follow).toHaveBeenCalledOnce()
  })

  it('that is not there is missing, not failed', async () => {
    const { runtime } = opened({
      conversation: async () => {
        throw new ApiError(404, 'not_found', 'There is no such conversation.', false)
      },
    })
    await vi.advanceTimersByTimeAsync(100)
    expect(runtime.shown.read().phase).toBe('missing')
  })

  it('grows by what is told, a frame at a time', async () => {
    const { runtime, tell } = opened()
    await vi.advanceTimersByTimeAsync(100)
    tell(delta(0, 'The '))
    tell(delta(4, 'mill'))
    expect(last(runtime)).toBe('')
    await vi.advanceTimersByTimeAsync(50)
    expect(last(runtime)).toBe('The mill')
  })

  it('fetches what was missed and asks for the whole text, once', async () => {
    const { tell, api, live } = opened()
    await vi.advanceTimersByTimeAsync(100)
    for (let at = 9; at < 40; at++) tell(delta(at, '.'))
    await vi.advanceTimersByTimeAsync(500)
    expect(api.conversation).toHaveBeenCalledTimes(2)
    expect(live.refollow).toHaveBeenCalledExactlyOnceWith('c', 5)
  })

  it('lacks nothing when the message that was sent is told before the reply it begins', async () => {
    const { runtime, tell, api } = opened()
    await vi.advanceTimersByTimeAsync(100)
    const after = { ...conversation, seq: 7, leaf_id: 'r2' }
    const asked2 = { ...asked, id: 'q2', seq: 6, parent_id: 'r' } as unknown as Message
    const reply2 = { ...reply, id: 'r2', seq: 7, parent_id: 'q2', content: 'So' } as unknown as Message
    for (const message of [asked2, reply2])
      tell({
        type: 'message.changed',
        seq: message.seq,
        conversation: after,
        message,
      })
    await vi.advanceTimersByTimeAsync(100)
    expect(last(runtime)).toBe('So')
    expect(api.conversation).toHaveBeenCalledOnce()
  })

  it('keeps what is told while it is fetched afresh', async () => {
    let answer: () => void = () => {}
    const messages = vi.fn(async () => {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return { items: [asked, reply] as unknown as PathMessage[], next: null }
    })
    const { runtime, tell } = opened({ messages })
    await vi.advanceTimersByTimeAsync(50)
    answer()
    await vi.advanceTimersByTimeAsync(50)
    void runtime.load()
    await vi.advanceTimersByTimeAsync(50)
    tell(delta(0, 'The mill'))
    await vi.advanceTimersByTimeAsync(50)
    answer()
    await vi.advanceTimersByTimeAsync(50)
    expect(last(runtime)).toBe('The mill')
  })

  it('keeps what is told while the branch that is read here, and is not the active one, is fetched', async () => {
    let answer: () => void = () => {}
    let leaf = 'r'
    const other = { ...asked, id: 'o', seq: 6, sibling_ids: ['q', 'o'] }
    const messages = vi.fn(async (_: string, place: { leaf_id?: string }) => {
      if (leaf === 'o' && place.leaf_id === 'r') {
        await new Promise<void>((resolve) => {
          answer = resolve
        })
      }
      const items = place.leaf_id === 'o' ? [other] : [asked, reply]
      return { items: items as unknown as PathMessage[], next: null }
    })
    const fetch = vi.fn(async () => ({ ...conversation, seq: leaf === 'o' ? 6 : 5, leaf_id: leaf }))
    const { runtime, tell } = opened({ messages, conversation: fetch } as unknown as Partial<Api>)
    await vi.advanceTimersByTimeAsync(100)
    leaf = 'o'
    void runtime.load()
    await vi.advanceTimersByTimeAsync(50)
    tell(delta(0, 'The mill'))
    await vi.advanceTimersByTimeAsync(50)
    answer()
    await vi.advanceTimersByTimeAsync(50)
    expect(last(runtime)).toBe('The mill')
  })

  it('shows what is sent at once, under the reply that is still written', async () => {
    const { runtime, outbox } = opened()
    await vi.advanceTimersByTimeAsync(100)
    runtime.send('And then?')
    expect(last(runtime)).toBe('And then?')
    expect(outbox.entries.read()[0]).toMatchObject({ parentId: 'r', state: 'saving' })
    runtime.send('And after that?')
    expect(outbox.entries.read()[1]).toMatchObject({
      parentId: outbox.entries.read()[0]?.id,
      state: 'waiting',
    })
  })

  it('is unmounted, loading, streaming and ready as the documents name it', async () => {
    const { runtime, close, tell } = opened()
    expect(runtime.shown.read().page).toBe('loading')
    await vi.advanceTimersByTimeAsync(100)
    expect(runtime.shown.read().page).toBe('streaming')
    const done = { ...reply, status: 'complete', content: 'Aye', revision: 2 } as unknown as Message
    tell({
      type: 'message.changed',
      seq: 6,
      conversation: { ...conversation, seq: 6, generation_id: null },
      message: done,
    })
    await vi.advanceTimersByTimeAsync(100)
    expect(runtime.shown.read().page).toBe('ready')
    close()
    expect(runtime.shown.read()).toMatchObject({ page: 'unmounted', phase: 'ready' })
    runtime.open()
    expect(runtime.shown.read().page).toBe('ready')
  })

  it('that is shown twice goes on when one of the two is left, and ends with the last', async () => {
    const { runtime, close, live, tell } = opened()
    await vi.advanceTimersByTimeAsync(100)
    const closeOther = runtime.open()
    close()
    close()
    tell(delta(0, 'The mill'))
    await vi.advanceTimersByTimeAsync(200)
    expect(last(runtime)).toBe('The mill')
    expect(runtime.shown.read().page).toBe('streaming')
    expect([live.follow.mock.calls.length, unfollow.mock.calls.length]).toEqual([1, 0])
    closeOther()
    expect(runtime.shown.read().page).toBe('unmounted')
    expect(unfollow).toHaveBeenCalledOnce()
  })

  it('that is removed for good is missing from then on', async () => {
    const { runtime, tell } = opened()
    await vi.advanceTimersByTimeAsync(100)
    tell({ type: 'conversation.gone', conversation_id: 'c' })
    expect(runtime.shown.read()).toMatchObject({ phase: 'missing', page: 'loading failed' })
  })

  it('goes to a message far above on its own branch without touching the active leaf', async () => {
    const far = { ...asked, id: 'far', seq: 0.2, sibling_ids: ['far'] }
    const next = { ...asked, id: 'next', seq: 0.4, parent_id: 'far', sibling_ids: ['next'] }
    const messages = vi.fn(async (_: string, place: { leaf_id?: string; after?: string }) => {
      const items = place.after === 'far' ? [next] : place.leaf_id === 'far' ? [far] : [asked, reply]
      return { items: items as unknown as PathMessage[], next: place.after === 'far' ? 'next' : null }
    })
    const changeConversation = vi.fn()
    const { runtime } = opened({ messages, changeConversation } as unknown as Partial<Api>)
    await vi.advanceTimersByTimeAsync(100)
    expect(await runtime.reading.jumpTo('far')).toBe(true)
    const { view, target } = runtime.shown.read()
    expect(view.lines.map((line) => line.id)).toEqual(['far', 'next'])
    expect(view.newer).toEqual({ leaf: 'r', after: 'next' })
    expect(target).toEqual({ id: 'far', count: 1 })
    expect(changeConversation).not.toHaveBeenCalled()
    runtime.reading.goToEnd()
    expect(runtime.shown.read().view.lines.map((line) => line.id)).toEqual(['q', 'r'])
  })

  it('goes to a message on another branch, which is the active one then', async () => {
    const other = { ...asked, id: 'other', seq: 9, sibling_ids: ['q', 'other'] }
    const messages = vi.fn(async (_: string, place: { leaf_id?: string; after?: string }) => {
      if (place.after !== undefined) throw new ApiError(404, 'not_found', 'It is not on the path.', false)
      const items = place.leaf_id === 'other' ? [other] : [asked, reply]
      return { items: items as unknown as PathMessage[], next: null }
    })
    const changeConversation = vi.fn(async () => ({ ...conversation, seq: 9, leaf_id: 'other' }))
    const { runtime } = opened({ messages, changeConversation } as unknown as Partial<Api>)
    await vi.advanceTimersByTimeAsync(100)
    expect(await runtime.reading.jumpTo('other')).toBe(true)
    expect(changeConversation).toHaveBeenCalledExactlyOnceWith('c', { leaf_id: 'other' })
    expect(runtime.shown.read().view.lines.map((line) => line.id)).toEqual(['other'])
    expect(runtime.shown.read().target?.id).toBe('other')
  })

  it('takes no message past the hundredth, and says why', async () => {
    const { runtime, outbox } = opened()
    await vi.advanceTimersByTimeAsync(100)
    for (let count = 0; count < 100; count++) expect(runtime.send(`${count}`)).toBe(true)
    expect(runtime.send('one too many')).toBe(false)
    expect(runtime.shown.read().notice).toContain('100 messages wait')
    expect(outbox.entries.read()).toHaveLength(100)
  })
})
