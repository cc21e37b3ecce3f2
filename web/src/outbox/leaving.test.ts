/** A message is in the draft, or leaves it, or lies in the outbox: at no time in none, and never twice. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, unreachable } from '../api/problems'
import { channels, lockManager } from '../api/tabs.fixture'
import type { Message, Sent } from '../api/types'
import { keepDraft, keptDraft, leaving } from './drafts'
import { MOST_WAITING } from './limits'
import { Outbox, type OutboxOptions } from './outbox'
import { MemoryStore, type OutboxStore } from './unsent'

function message(content: string, conversationId = 'c') {
  return { conversationId, parentId: null, content }
}

const contents = (outbox: Outbox) => outbox.entries.read().map((entry) => entry.content)
const ids = (account: string) => leaving.all(account).map((each) => each.id)

/** A store on a disk: it lasts over pages. */
function onDisk(): MemoryStore & { isLasting: boolean } {
  return Object.assign(new MemoryStore(), { isLasting: true })
}

function browser() {
  const store = onDisk()
  const locks = lockManager()
  const channel = channels()
  const stored = new Map<string, string>()
  let account = 'ada'
  let isAway = false
  return {
    store,
    locks,
    /** What the server has, by id. */
    stored,
    logIn: (name: string) => {
      account = name
    },
    goAway: (away = true) => {
      isAway = away
    },
    tab(name: string, more: Partial<OutboxOptions> = {}) {
      return new Outbox({
        post: async (_, { id, content }): Promise<Sent> => {
          if (isAway) throw unreachable()
          stored.set(id, `${account}: ${content}`)
          return {
            message: { id } as Message,
            reply: null,
            generation_id: null,
            branched: false,
            limited: null,
          }
        },
        whoAmI: async () => account,
        knownAccount: () => account,
        leaving,
        open: async () => store,
        locks: locks as unknown as LockManager,
        channel: channel(),
        tab: name,
        ...more,
      })
    },
    die: (name: string) => locks.release(`talekeeper.outbox.tab.${name}`),
  }
}

/** The same store, whose writes never end. */
function stuck(store: OutboxStore): OutboxStore {
  const never = () => new Promise<never>(() => {})
  return {
    isLasting: true,
    all: (account: string) => store.all(account),
    add: never,
  } as unknown as OutboxStore
}

const aWhile = () => vi.advanceTimersByTimeAsync(3000)

describe('a message that is sent', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('leaves the draft at once, and what is typed after it is the draft', async () => {
    const { tab, store } = browser()
    const outbox = tab('one', { open: async () => stuck(store) })
    await outbox.start()
    keepDraft('ada', 'c', 'Aye\n\n')
    const id = outbox.send(message('Aye'))
    expect([keptDraft('ada', 'c'), ids('ada')]).toEqual(['', [id]])
    keepDraft('ada', 'c', 'And then')
    await aWhile()
    expect([keptDraft('ada', 'c'), ids('ada')]).toEqual(['And then', [id]])
  })

  it('leaves nothing behind once the store has it', async () => {
    const { tab, goAway } = browser()
    goAway()
    const outbox = tab('one')
    await outbox.start()
    keepDraft('ada', 'c', 'Aye')
    outbox.send(message('Aye'))
    await aWhile()
    expect(ids('ada')).toEqual([])
    expect(Object.keys(localStorage)).toEqual([])
  })

  it('takes no draft along that is not it: not what another tab typed, not what stands beside an edit', async () => {
    const { tab } = browser()
    const outbox = tab('one')
    await outbox.start()
    keepDraft('ada', 'c', 'half a thought')
    outbox.send(message('An edit'))
    await aWhile()
    expect(keptDraft('ada', 'c')).toBe('half a thought')
  })

  it('is sent by the next page, once, when its page died before the store had it', async () => {
    const { tab, store, stored, die } = browser()
    const dying = tab('dying', { open: async () => stuck(store) })
    await dying.start()
    const id = dying.send(message('Aye'))
    await aWhile()
    expect(stored.size).toBe(0)
    die('dying')
    const next = tab('next')
    await next.start()
    await aWhile()
    expect([...stored]).toEqual([[id, 'ada: Aye']])
    expect([next.entries.read(), ids('ada'), await store.all('ada')]).toEqual([[], [], []])
  })

  it('is one message when its page died after the store had it, sent or not', async () => {
    const { tab, store, stored, die, goAway } = browser()
    const keeps = { ...leaving, remove: () => {} }
    const dying = tab('dying', { leaving: keeps })
    await dying.start()
    const sent = dying.send(message('Aye'))
    await aWhile()
    goAway()
    const unsent = dying.send(message('Nay'))
    await aWhile()
    expect(ids('ada')).toEqual([sent, unsent])
    die('dying')
    const next = tab('next')
    await next.start()
    await aWhile()
    expect(contents(next).toSorted()).toEqual(['Aye', 'Nay'])
    goAway(false)
    next.retryAll()
    await aWhile()
    expect([...stored.keys()]).toEqual([sent, unsent])
    expect([next.entries.read(), ids('ada'), await store.all('ada')]).toEqual([[], [], []])
  })

  it('is sent although the server does not say in time whose page it is', async () => {
    const { tab, stored } = browser()
    const outbox = tab('one', { whoAmI: () => new Promise(() => {}) })
    void outbox.start()
    const id = outbox.send(message('Aye'))
    await aWhile()
    expect([...stored]).toEqual([[id, 'ada: Aye']])
    expect([outbox.entries.read(), ids('ada')]).toEqual([[], []])
  })

  it('said before there is a store goes into it once there is', async () => {
    const { tab, store, goAway } = browser()
    goAway()
    let open = () => {}
    const outbox = tab('one', { open: () => new Promise((resolve) => (open = () => resolve(store))) })
    void outbox.start()
    const id = outbox.send(message('Aye'))
    await aWhile()
    expect([contents(outbox), ids('ada'), await store.all('ada')]).toEqual([['Aye'], [id], []])
    open()
    await aWhile()
    expect([contents(outbox), ids('ada')]).toEqual([['Aye'], []])
    expect((await store.all('ada')).map((each) => each.id)).toEqual([id])
  })

  it('is left to its tab while that lives', async () => {
    const { tab, store, stored } = browser()
    const busy = tab('busy', { open: async () => stuck(store) })
    await busy.start()
    busy.send(message('Aye'))
    const other = tab('other')
    await other.start()
    await aWhile()
    expect([other.entries.read(), stored.size]).toEqual([[], 0])
  })

  it('outlives a page whose store lasts no longer than it does', async () => {
    const { tab, stored, die, goAway } = browser()
    goAway()
    const first = tab('first', { open: async () => new MemoryStore() })
    await first.start()
    const id = first.send(message('Aye'))
    await aWhile()
    expect(ids('ada')).toEqual([id])
    die('first')
    goAway(false)
    const second = tab('second', { open: async () => new MemoryStore() })
    await second.start()
    await aWhile()
    expect([...stored.keys()]).toEqual([id])
    expect(ids('ada')).toEqual([])
  })

  it('is gone everywhere once it is discarded, also from a store that failed', async () => {
    const { tab, store, die } = browser()
    const post = () => Promise.reject(new ApiError(422, 'too_large', 'It is too long.', false))
    const outbox = tab('one', { post })
    await outbox.start()
    const kept = outbox.send(message('Aye'))
    await aWhile()
    const { add } = store
    store.add = async () => {
      throw new DOMException('no room', 'QuotaExceededError')
    }
    const late = outbox.send(message('Nay', 'd'))
    await aWhile()
    expect(contents(outbox).toSorted()).toEqual(['Aye', 'Nay'])
    outbox.discard(kept)
    outbox.discard(late)
    await aWhile()
    store.add = add
    die('one')
    const next = tab('next')
    await next.start()
    await aWhile()
    expect([next.entries.read(), ids('ada')]).toEqual([[], []])
  })
})

describe('a message for which there is no room', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** Two tabs that fill the store between them; the right one has a message too many. */
  async function crowded() {
    const all = browser()
    all.goAway()
    const [left, right] = [all.tab('left'), all.tab('right')]
    await left.start()
    await right.start()
    for (let count = 0; count < MOST_WAITING; count++) left.send(message(`${count}`))
    right.send(message('one too many', 'd'))
    await aWhile()
    const refused = () => right.entries.read().filter((entry) => entry.state === 'refused')
    expect(refused().map((entry) => entry.content)).toEqual(['one too many'])
    return { ...all, left, right, refused }
  }

  it('can be discarded', async () => {
    const { right, refused } = await crowded()
    right.discard(refused()[0]?.id ?? '')
    await aWhile()
    expect([refused(), ids('ada')]).toEqual([[], []])
  })

  it('is tried again by hand, once there is', async () => {
    const { right, refused, goAway, stored } = await crowded()
    const [entry] = refused()
    goAway(false)
    right.retryAll()
    await vi.advanceTimersByTimeAsync(60_000)
    right.retry(entry?.id ?? '')
    await aWhile()
    expect(refused()).toEqual([])
    expect(stored.get(entry?.id ?? '')).toBe('ada: one too many')
  })

  it('is not seen by the next account, and is there when its own is back', async () => {
    const { left, right, refused, logIn, goAway, stored } = await crowded()
    const id = refused()[0]?.id ?? ''
    left.leave()
    right.leave()
    logIn('brin')
    goAway(false)
    await right.start()
    await aWhile()
    expect([right.entries.read(), stored.size]).toEqual([[], 0])
    right.leave()
    logIn('ada')
    await right.start()
    await vi.advanceTimersByTimeAsync(60_000)
    for (const entry of right.entries.read()) right.retry(entry.id)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(stored.get(id)).toBe('ada: one too many')
  })
})

describe('what one account has said', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it.each([0, 3000])("is never another account's, if that answers after %i ms", async (late) => {
    const { tab, logIn, stored, store } = browser()
    let answer: (account: string) => void = () => {}
    const outbox = tab('one', {
      whoAmI: () => new Promise((resolve) => (answer = resolve)),
      knownAccount: () => 'ada',
    })
    void outbox.start()
    const id = outbox.send(message("Ada's secret"))
    await vi.advanceTimersByTimeAsync(late)
    stored.clear()
    logIn('brin')
    answer('brin')
    await vi.advanceTimersByTimeAsync(0)
    const shown: string[] = []
    outbox.entries.subscribe(() => shown.push(...contents(outbox)))
    await aWhile()
    expect([shown, [...stored]]).toEqual([[], []])
    expect(await store.all('brin')).toEqual([])
    expect(ids('ada')).toEqual(late === 0 ? [id] : [])
  })

  it('is not the business of a page that its account left while the server was asked', async () => {
    const { tab, stored, store } = browser()
    let answer = () => {}
    const outbox = tab('one', {
      whoAmI: () => new Promise((resolve) => (answer = () => resolve('ada'))),
    })
    void outbox.start()
    const id = outbox.send(message("Ada's secret"))
    await vi.advanceTimersByTimeAsync(100)
    outbox.leave()
    answer()
    await aWhile()
    expect([outbox.entries.read(), stored.size, await store.all('ada'), ids('ada')]).toEqual([
      [],
      0,
      [],
      [id],
    ])
  })

  it("is not refused for good when it was posted under another one's session", async () => {
    const { tab, store, logIn, stored } = browser()
    const outbox = tab('one', {
      post: () => Promise.reject(new ApiError(404, 'not_found', 'There is no such conversation.', false)),
    })
    await outbox.start()
    const id = outbox.send(message("Ada's secret"))
    logIn('brin')
    await aWhile()
    expect(outbox.entries.read()).toEqual([])
    expect((await store.all('ada')).map((each) => each.state)).toEqual(['waiting'])
    logIn('ada')
    const back = tab('back')
    await back.start()
    await aWhile()
    expect([...stored]).toEqual([[id, "ada: Ada's secret"]])
  })

  it('is not tried again once another account is there', async () => {
    const { tab, store } = browser()
    const tried: string[] = []
    const outbox = tab('one', {
      post: async (_, { content }) => {
        tried.push(content)
        throw unreachable()
      },
    })
    await outbox.start()
    outbox.send(message("Ada's secret"))
    await vi.advanceTimersByTimeAsync(200)
    expect(tried).toHaveLength(1)
    outbox.leave()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(tried).toHaveLength(1)
    expect((await store.all('ada')).map((each) => each.content)).toEqual(["Ada's secret"])
  })
})
