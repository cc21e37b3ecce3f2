import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { MessageDraft } from '../api/client'
import { ApiError, problemOf, unreachable } from '../api/problems'
import { channels, lockManager } from '../api/tabs.fixture'
import type { Message, Sent } from '../api/types'
import { MOST_WAITING, OutboxFull } from './limits'
import { Outbox, type OutboxOptions } from './outbox'
import { MemoryStore } from './unsent'

const sent = (draft: MessageDraft): Sent => ({
  message: { id: draft.id, parent_id: draft.parent_id } as Message,
  reply: null,
  generation_id: null,
  branched: false,
  limited: null,
})

const refusal = new ApiError(422, 'too_large', 'A message has at most 200,000 characters.', false)
const busy = new ApiError(503, 'store_full', 'The disk is full.', true, 1, 'ref-7')

function message(content: string, parentId: string | null = null) {
  return { conversationId: 'c', parentId, content }
}

const states = (outbox: Outbox) => outbox.entries.read().map((entry) => entry.state)
const contents = (outbox: Outbox) => outbox.entries.read().map((entry) => entry.content)
/** Longer than the quick tries take. */
const quickTries = () => vi.advanceTimersByTimeAsync(5000)

describe('the outbox', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('holds a message until it is acknowledged', async () => {
    const outbox = new Outbox({ post: async (_, draft) => sent(draft) })
    const told = vi.fn()
    outbox.onSent(told)
    const id = outbox.send(message('Aye'))
    expect(states(outbox)).toEqual(['saving'])
    await quickTries()
    expect(outbox.entries.read()).toEqual([])
    expect(told.mock.calls[0]?.[1].message.id).toBe(id)
  })

  it('tries four times under one id, then says not saved and keeps the text', async () => {
    const tried: string[] = []
    const outbox = new Outbox({
      post: async (_, draft) => {
        tried.push(draft.id)
        throw unreachable()
      },
    })
    const id = outbox.send(message('Aye'))
    await quickTries()
    expect(tried).toEqual([id, id, id, id])
    expect(outbox.entries.read()[0]).toMatchObject({
      state: 'unsaved',
      content: 'Aye',
      problem: 'The server is not answering.',
    })
  })

  it('says within two seconds why a message is not saved yet', async () => {
    const away = new Outbox({ post: () => Promise.reject(unreachable()) })
    away.send(message('Aye'))
    const silent = new Outbox({ post: () => new Promise(() => {}) })
    silent.send(message('Aye'))
    await vi.advanceTimersByTimeAsync(1900)
    expect(away.entries.read()[0]).toMatchObject({
      state: 'saving',
      problem: 'The server is not answering. Trying again.',
    })
    expect(silent.entries.read()[0]).toMatchObject({ problem: 'The server has not answered yet.' })
  })

  it('tries again by itself when a busy server may have recovered', async () => {
    let isBusy = true
    const post = vi.fn(async (_: string, draft: MessageDraft) => {
      if (isBusy) throw busy
      return sent(draft)
    })
    const outbox = new Outbox({ post })
    outbox.send(message('Aye'))
    await quickTries()
    expect(outbox.entries.read()[0]).toMatchObject({
      state: 'unsaved',
      problem: 'The disk is full.',
      reference: 'ref-7',
    })
    isBusy = false
    await vi.advanceTimersByTimeAsync(30_000)
    expect(outbox.entries.read()).toEqual([])
    expect(new Set(post.mock.calls.map(([, draft]) => draft.id)).size).toBe(1)
  })

  it.each([
    ['the server', { code: 'too_often', detail: 'Wait a moment.', retryable: true, retry_after: 40 }],
    ['a proxy', null],
  ])('waits as long as the 429 of %s says, and drops nothing', async (_, problem) => {
    let isLimited = true
    const post = vi.fn(async (_: string, draft: MessageDraft) => {
      if (!isLimited) return sent(draft)
      const body = problem === null ? '<h1>429</h1>' : JSON.stringify(problem)
      throw await problemOf(new Response(body, { status: 429, headers: { 'Retry-After': '40' } }))
    })
    const outbox = new Outbox({ post })
    outbox.send(message('Aye'))
    await quickTries()
    expect(outbox.entries.read()[0]).toMatchObject({
      state: 'unsaved',
      content: 'Aye',
      problem: problem?.detail ?? 'The server was asked too much for now.',
    })
    isLimited = false
    await vi.advanceTimersByTimeAsync(34_000)
    expect(post).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(outbox.entries.read()).toEqual([])
    expect(post).toHaveBeenCalledTimes(2)
  })

  it('sends again under the same id when it is asked to', async () => {
    let isAway = true
    const post = vi.fn(async (_: string, draft: MessageDraft) => {
      if (isAway) throw unreachable()
      return sent(draft)
    })
    const outbox = new Outbox({ post })
    const id = outbox.send(message('Aye'))
    await quickTries()
    isAway = false
    outbox.retryAll()
    await vi.advanceTimersByTimeAsync(100)
    expect(outbox.entries.read()).toEqual([])
    expect(new Set(post.mock.calls.map(([, draft]) => draft.id))).toEqual(new Set([id]))
  })

  it('keeps the order of a conversation, and another one does not wait for it', async () => {
    const posted: string[] = []
    const outbox = new Outbox({
      post: async (conversation, draft) => {
        posted.push(draft.content)
        if (conversation === 'c') throw unreachable()
        return sent(draft)
      },
    })
    const first = outbox.send(message('one'))
    outbox.send(message('two', first))
    outbox.send({ conversationId: 'd', parentId: null, content: 'elsewhere' })
    await quickTries()
    expect(posted).not.toContain('two')
    expect(posted).toContain('elsewhere')
    expect(states(outbox)).toEqual(['unsaved', 'waiting'])
  })

  it('keeps what is refused, with the reason, and lets the next one by in its place', async () => {
    const posted: MessageDraft[] = []
    const outbox = new Outbox({
      post: async (_, draft) => {
        posted.push(draft)
        if (draft.content === 'too long') throw refusal
        return sent(draft)
      },
    })
    const first = outbox.send(message('too long', 'p'))
    outbox.send(message('short', first))
    await quickTries()
    expect(outbox.entries.read()).toMatchObject([{ id: first, state: 'refused', problem: refusal.detail }])
    expect(posted.at(-1)).toMatchObject({ content: 'short', parent_id: 'p' })
  })

  it('puts what waited under the reply that the message before has begun', async () => {
    const posted: MessageDraft[] = []
    const outbox = new Outbox({
      post: async (_, draft) => {
        posted.push(draft)
        const reply = draft.content === 'one' ? ({ id: 'r' } as Message) : null
        return { ...sent(draft), reply }
      },
    })
    const first = outbox.send(message('one'))
    const second = outbox.send(message('two', first))
    outbox.send(message('three', second))
    await quickTries()
    expect(posted.map(({ content, parent_id }) => [content, parent_id])).toEqual([
      ['one', null],
      ['two', 'r'],
      ['three', second],
    ])
  })

  it('lets go of a message only by hand', async () => {
    const outbox = new Outbox({
      post: async () => {
        throw refusal
      },
    })
    const id = outbox.send(message('Aye'))
    outbox.discard(id)
    expect(outbox.entries.read()).toHaveLength(1)
    await quickTries()
    outbox.discard(id)
    expect(outbox.entries.read()).toEqual([])
  })

  it('has room for a hundred, and says so to the next one', async () => {
    const outbox = new Outbox({ post: () => Promise.reject(unreachable()) })
    for (let count = 0; count < MOST_WAITING; count++) outbox.send(message(`${count}`))
    expect(() => outbox.send(message('one too many'))).toThrow(OutboxFull)
    await quickTries()
    expect(contents(outbox)).not.toContain('one too many')
    expect(outbox.entries.read()).toHaveLength(MOST_WAITING)
  })
})

/** A browser with a store, in which tabs are opened. */
function browser(post: OutboxOptions['post']) {
  const store = new MemoryStore()
  const locks = lockManager()
  const channel = channels()
  let account = 'ada'
  return {
    store,
    locks,
    logIn: (name: string) => {
      account = name
    },
    async tab(name: string, more: Partial<OutboxOptions> = {}) {
      const outbox = new Outbox({
        post,
        whoAmI: async () => account,
        open: async () => store,
        locks: locks as unknown as LockManager,
        channel: channel(),
        tab: name,
        ...more,
      })
      await outbox.start()
      return outbox
    },
  }
}

describe('tabs of one browser', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('see what waits in each other, and one of them sends it', async () => {
    const posted: string[] = []
    let isAway = true
    const { tab, store } = browser(async (_, draft) => {
      if (isAway) throw unreachable()
      posted.push(draft.content)
      return sent(draft)
    })
    const [left, right] = [await tab('left'), await tab('right')]
    left.send(message('from the left'))
    right.send(message('from the right'))
    await quickTries()
    expect(contents(left).toSorted()).toEqual(['from the left', 'from the right'])
    expect(contents(right).toSorted()).toEqual(['from the left', 'from the right'])
    expect(right.entries.read().map((entry) => [entry.content, entry.isHere])).toContainEqual([
      'from the left',
      false,
    ])
    isAway = false
    left.retryAll()
    right.retryAll()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(posted.toSorted()).toEqual(['from the left', 'from the right'])
    expect(await store.all('ada')).toEqual([])
    expect([...left.entries.read(), ...right.entries.read()]).toEqual([])
  })

  it('hear from whichever tab was acknowledged', async () => {
    let isAway = true
    const { tab } = browser(async (_, draft) => {
      if (isAway) throw unreachable()
      return sent(draft)
    })
    const [left, right] = [await tab('left'), await tab('right')]
    const told = vi.fn()
    left.onSent(told)
    left.send(message('Aye'))
    await quickTries()
    isAway = false
    right.retryAll()
    await vi.advanceTimersByTimeAsync(1000)
    expect(told.mock.calls[0]?.[0]).toMatchObject({ content: 'Aye', isHere: true })
  })

  it('go on with what a tab that died was sending, under the same id', async () => {
    const posted: string[] = []
    const { tab, locks, store } = browser(async (_, draft) => {
      posted.push(draft.id)
      return sent(draft)
    })
    const dying = await tab('dying', {
      post: (_, draft) => {
        posted.push(draft.id)
        return new Promise(() => {})
      },
    })
    const other = await tab('other')
    const id = dying.send(message('Aye'))
    await vi.advanceTimersByTimeAsync(500)
    expect(states(other)).toEqual(['saving'])
    locks.release('talekeeper.outbox.tab.dying')
    locks.release('talekeeper.outbox.ada.c')
    await vi.advanceTimersByTimeAsync(500)
    expect(posted).toEqual([id, id])
    expect(await store.all('ada')).toEqual([])
    expect(other.entries.read()).toEqual([])
  })

  it('find at their start what an earlier page left, and send it in order', async () => {
    const posted: string[] = []
    const { tab, store } = browser(async (_, draft) => {
      posted.push(draft.content)
      return sent(draft)
    })
    const lying = {
      account: 'ada',
      conversationId: 'c',
      tab: 'gone',
      createdAt: 1,
      problem: 'The server is not answering.',
      reference: null,
    }
    await store.add({ ...lying, id: 'a', parentId: null, content: 'one', state: 'unsaved' }, 100)
    await store.add({ ...lying, id: 'b', parentId: 'a', content: 'two', state: 'waiting' }, 100)
    const outbox = await tab('new')
    expect(outbox.entries.read().every((entry) => entry.isHere)).toBe(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(posted).toEqual(['one', 'two'])
  })

  it('count together: the hundred and first is refused in any of them', async () => {
    const { tab } = browser(() => Promise.reject(unreachable()))
    const [left, right] = [await tab('left'), await tab('right')]
    for (let count = 0; count < MOST_WAITING; count++) left.send(message(`${count}`))
    await vi.advanceTimersByTimeAsync(500)
    expect(() => right.send(message('one too many'))).toThrow(OutboxFull)
  })

  it('neither show nor send what another account left', async () => {
    const posted: string[] = []
    let isAway = true
    const { tab, store, logIn } = browser(async (_, draft) => {
      if (isAway) throw unreachable()
      posted.push(draft.content)
      return sent(draft)
    })
    const adas = await tab('adas')
    adas.send(message("Ada's secret"))
    await quickTries()
    adas.leave()
    logIn('brin')
    const brins = await tab('brins')
    expect(brins.entries.read()).toEqual([])
    expect(adas.entries.read()).toEqual([])
    isAway = false
    adas.retryAll()
    brins.retryAll()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toEqual([])
    expect(await store.all('ada')).toHaveLength(1)
    logIn('ada')
    await tab('adas again')
    await vi.advanceTimersByTimeAsync(500)
    expect(posted).toEqual(["Ada's secret"])
  })

  it('without locks and channels each send what was said in them', async () => {
    const { tab, store } = browser(async (_, draft) => sent(draft))
    const alone = await tab('alone', { locks: undefined, channel: null })
    alone.send(message('Aye'))
    await vi.advanceTimersByTimeAsync(100)
    expect(alone.entries.read()).toEqual([])
    expect(await store.all('ada')).toEqual([])
  })

  it('say honestly when the browser keeps nothing', async () => {
    const failing = new MemoryStore()
    failing.add = async () => {
      throw new DOMException('no room', 'QuotaExceededError')
    }
    Object.defineProperty(failing, 'isLasting', { value: true })
    const { tab } = browser(() => Promise.reject(unreachable()))
    const outbox = await tab('private', { open: async () => failing })
    expect(outbox.isLasting).toBe(true)
    outbox.send(message('Aye'))
    await quickTries()
    expect(outbox.isLasting).toBe(false)
    expect(contents(outbox)).toEqual(['Aye'])
  })
})
