/**
 * The page's contract with the server: events applied to what was fetched before give what would be
 * fetched now. The vectors are what a real server told and answered (`tests/contract/scenarios.py`).
 */
import { describe, expect, it } from 'vitest'
import type { ServerEvent, TextEvent } from '../api/events'
import type { Conversation, Message, PathMessage } from '../api/types'
import { applyFetched } from './pages'
import { applyEvent, type ConversationState, goneToLeaf, isLacking, isRunning, nothingKnown } from './state'
import { type Line, type View, viewOf } from './view'

interface Fetch {
  at: number
  conversation: number
  items: [number, string[]][]
  next: string | null
  resumed: ({ type: 'snapshot' } & TextEvent)[]
}

interface Vector {
  scenario: string
  conversations: Conversation[]
  messages: Message[]
  events: { type: string; seq?: number; conversation?: number; message?: number }[]
  fetches: Fetch[]
}

const files = import.meta.glob<Vector>('./vectors/*.json', { eager: true, import: 'default' })
const vectors = Object.values(files)

function eventsOf({ events, conversations, messages }: Vector): ServerEvent[] {
  return events.map((each) => {
    const message = each.message === undefined ? undefined : messages[each.message]
    const conversation = each.conversation === undefined ? undefined : conversations[each.conversation]
    return {
      ...each,
      ...(message !== undefined && { message }),
      ...(conversation !== undefined && { conversation }),
    } as ServerEvent
  })
}

function fetched(vector: Vector, { conversation: at, items, next }: Fetch, onto = nothingKnown) {
  const conversation = vector.conversations[at] as Conversation
  const leaf = conversation.leaf_id
  if (leaf === null) return applyFetched(onto, conversation, null)
  const path = items.map(
    ([place, ids]): PathMessage => ({ ...(vector.messages[place] as Message), sibling_ids: ids }),
  )
  return applyFetched(onto, conversation, { leaf, items: path, next })
}

/** Checkpoints of a growing reply are not told: its text is, as it comes. */
function withoutCheckpoint(line: Line): Line {
  if (line.kind !== 'said' || !isRunning(line.message)) return line
  return { ...line, message: { ...line.message, content: '', status: 'streaming', revision: 0 } }
}

/** What a person sees at the end of it; a page that was there before may know more above. */
function seen(view: View, count: number) {
  const lines = count === 0 ? [] : view.lines.slice(-count).map(withoutCheckpoint)
  const ids = lines.map((line) => line.id)
  return {
    lines,
    running: view.running,
    parentId: view.parentId,
    newerElsewhere: view.newerElsewhere,
    newer: view.newer,
    unanswered: ids.filter((id) => view.unanswered.has(id)),
  }
}

function expectSame(vector: Vector, state: ConversationState, fetch: Fetch, where: string) {
  const fresh = viewOf(fetched(vector, fetch), [])
  const stale = viewOf(state, [])
  // Pages were cut at other places: what both have is the same, and who has less knows where more is.
  const count = Math.min(stale.lines.length, fresh.lines.length)
  if (stale.lines.length < fresh.lines.length) expect(stale.older, where).not.toBeNull()
  if (fresh.lines.length < stale.lines.length) expect(fresh.older, where).not.toBeNull()
  if (fresh.lines.length > 0) expect(count, where).toBeGreaterThan(0)
  expect(seen(stale, count), where).toEqual(seen(fresh, count))
  expect(state.conversation, where).toEqual(vector.conversations[fetch.conversation])
}

/** What a page does that finds something lacking: it fetches, and goes on from there. */
function complete(vector: Vector, state: ConversationState, fetch: Fetch) {
  const gone = goneToLeaf(state)
  if (!isLacking(gone)) return { state: gone, hasFetched: false }
  return { state: goneToLeaf(fetched(vector, fetch, gone)), hasFetched: true }
}

describe.each(vectors.map((vector) => [vector.scenario, vector] as const))('%s', (_, vector) => {
  const events = eventsOf(vector)
  const pairs = vector.fetches.flatMap((from) =>
    vector.fetches.filter((to) => to.at >= from.at).map((to) => ({ from, to })),
  )

  it('applied to what was fetched before, gives what is fetched now', () => {
    let lacking = 0
    for (const { from, to } of pairs) {
      const state = events.slice(from.at, to.at).reduce(applyEvent, fetched(vector, from))
      const done = complete(vector, state, to)
      lacking += done.hasFetched ? 1 : 0
      expectSame(vector, done.state, to, `${from.at} to ${to.at}`)
    }
    // Else nothing would be proved: every page would have fetched what it was to work out.
    expect(lacking / pairs.length).toBeLessThan(0.5)
  })

  it('with the beginning of a new stream gives the same', () => {
    for (const { from, to } of pairs) {
      const told = [...from.resumed, ...events.slice(from.at, to.at)]
      const { state } = complete(vector, told.reduce(applyEvent, fetched(vector, from)), to)
      expectSame(vector, state, to, `${from.at} to ${to.at}`)
    }
  })

  it('told twice, one by one or all together, gives the same', () => {
    for (const { from, to } of pairs) {
      const part = events.slice(from.at, to.at)
      for (const told of [part.flatMap((event) => [event, event]), [...part, ...part]]) {
        const { state } = complete(vector, told.reduce(applyEvent, fetched(vector, from)), to)
        expectSame(vector, state, to, `${from.at} to ${to.at}`)
      }
    }
  })

  it('cut at any place and told again from before it, gives the same', () => {
    const from = vector.fetches[0] as Fetch
    const to = vector.fetches.at(-1) as Fetch
    for (let cut = from.at; cut <= to.at; cut++) {
      for (const back of [0, 1, 7]) {
        const told = [...events.slice(from.at, cut), ...events.slice(Math.max(from.at, cut - back), to.at)]
        const { state } = complete(vector, told.reduce(applyEvent, fetched(vector, from)), to)
        expectSame(vector, state, to, `cut at ${cut}, told again from ${back} before`)
      }
    }
  })

  it('with a page fetched in between at any place, gives the same', () => {
    const to = vector.fetches.at(-1) as Fetch
    const first = vector.fetches[0] as Fetch
    for (const between of vector.fetches) {
      // The page that is fetched may already be older than what was told.
      for (const late of [0, 1, 3]) {
        const before = events.slice(first.at, between.at + late).reduce(applyEvent, fetched(vector, first))
        const state = events
          .slice(between.at + late, to.at)
          .reduce(applyEvent, fetched(vector, between, before))
        expectSame(vector, complete(vector, state, to).state, to, `fetched at ${between.at}, ${late} late`)
      }
    }
  })

  it('never takes a reader to another branch that he did not ask for', () => {
    for (const from of vector.fetches) {
      let state = fetched(vector, from)
      for (const event of events.slice(from.at)) {
        const before = viewOf(state, [])
        state = applyEvent(state, event)
        const after = viewOf(state, [])
        const isDeleted = before.lines.some(
          (line) =>
            event.type === 'message.changed' && event.message.deleted_at && line.id === event.message.id,
        )
        if (isDeleted) continue
        const ids = new Set(after.lines.map((line) => line.id))
        for (const line of before.lines) expect(ids.has(line.id), line.id).toBe(true)
      }
    }
  })
})

it('has scenarios to apply', () => {
  expect(vectors.map((vector) => vector.scenario).toSorted()).toEqual([
    'branches',
    'deletions',
    'everything',
    'short-pages',
    'talk',
  ])
})
