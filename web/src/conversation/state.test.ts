import { describe, expect, it } from 'vitest'
import type { ServerEvent } from '../api/events'
import type { Conversation, Message, PathMessage } from '../api/types'
import type { OutboxEntry } from '../outbox/entries'
import { applyFetched, applyNewer, applyPage, applyStretch } from './pages'
import {
  type Acknowledged,
  applyEvent,
  applySent,
  type ConversationState,
  expecting,
  goneToLeaf,
  goneToTip,
  isLacking,
  nothingKnown,
} from './state'
import { viewOf } from './view'

const C = 'c'

function conversation(seq: number, leaf: string | null, generation: string | null = null): Conversation {
  return {
    id: C,
    title: 'The Salt Road',
    purpose: 'general',
    is_current: true,
    seq,
    leaf_id: leaf,
    generation_id: generation,
    connection_id: null,
    model: null,
    sampling: { temperature: null, top_p: null, max_tokens: null, longest_request: null },
    pinned: false,
    archived_at: null,
    deleted_at: null,
    message_count: 0,
    characters: 0,
    activity: 1,
    created_at: 1,
    updated_at: seq,
  }
}

function message(id: string, parent: string | null, more: Partial<Message> = {}): Message {
  return {
    id,
    conversation_id: C,
    seq: 1,
    parent_id: parent,
    role: 'user',
    content: id,
    status: 'complete',
    revision: 1,
    created_at: 1,
    updated_at: 1,
    generation_id: null,
    provider: null,
    model: null,
    input_tokens: null,
    output_tokens: null,
    finish_reason: null,
    error: null,
    bookmark: null,
    deleted_at: null,
    speaker: null,
    mode: 'about',
    audience: { to: 'game_master', character_ids: [] },
    hidden_from_ai: false,
    parts: [],
    ...more,
  }
}

const onPath = (each: Message, siblings: string[] = [each.id]): PathMessage => ({
  ...each,
  sibling_ids: siblings,
})

function told(each: Message, seq: number): Acknowledged {
  return { type: 'message.changed', seq, conversation: null, message: each }
}

/** As the event tells it that added it. */
function changed(each: Message): Acknowledged {
  return told(each, each.seq)
}

function text(type: 'delta' | 'snapshot', offset: number, said: string, generation = 'g'): ServerEvent {
  return { type, conversation_id: C, message_id: 'r', generation_id: generation, offset, text: said }
}

const asked = message('q', null, { seq: 1 })
const reply = message('r', 'q', {
  seq: 2,
  role: 'assistant',
  content: '',
  status: 'pending',
  generation_id: 'g',
})

function answering(): ConversationState {
  return applyFetched(nothingKnown, conversation(2, 'r', 'g'), {
    leaf: 'r',
    items: [onPath(asked), onPath(reply)],
    next: null,
  })
}

const shown = (state: ConversationState) => viewOf(state, []).lines.map((line) => line.id)
const said = (state: ConversationState) => {
  const line = viewOf(state, []).lines.at(-1)
  return line?.kind === 'said' ? line.text : null
}

describe('the path on screen', () => {
  it('runs from the root to the leaf', () => {
    expect(shown(answering())).toEqual(['q', 'r'])
  })

  it('goes along with a message under the leaf', () => {
    const state = applyEvent(answering(), changed(message('q2', 'r', { seq: 3 })))
    expect(shown(state)).toEqual(['q', 'r', 'q2'])
  })

  it('stays where it is while another device goes to another branch', () => {
    const told = applyEvent(answering(), {
      type: 'conversation.changed',
      seq: 9,
      conversation: conversation(9, 'x'),
    })
    expect(shown(told)).toEqual(['q', 'r'])
    expect(isLacking(told)).toBe(false)
  })

  it('that the reader leaves stays until the path to the leaf is known', () => {
    const leaving = goneToLeaf(
      applyEvent(answering(), { type: 'conversation.changed', seq: 9, conversation: conversation(9, 'x') }),
    )
    expect(shown(leaving)).toEqual(['q', 'r'])
    expect(isLacking(leaving)).toBe(true)
    const fetched = applyFetched(leaving, conversation(9, 'x'), {
      leaf: 'x',
      items: [onPath(message('x', null, { seq: 8 }), ['q', 'x'])],
      next: null,
    })
    expect(shown(fetched)).toEqual(['x'])
    expect(isLacking(fetched)).toBe(false)
  })

  it('is left for the active one when it is taken out of the tree, and can come back', () => {
    const other = message('x', null, { seq: 3 })
    let state = applyEvent(answering(), changed(other))
    const gone = { ...asked, revision: 2, deleted_at: 7 }
    state = applyEvent(state, { ...told(gone, 4), conversation: conversation(4, 'x') })
    expect(shown(state)).toEqual(['x'])
    expect(viewOf(state, []).lines[0]).toMatchObject({ siblings: ['x'] })
    const back = { ...asked, revision: 3, deleted_at: null }
    state = applyEvent(state, { ...told(back, 5), conversation: conversation(5, 'r') })
    expect(shown(state)).toEqual(['x'])
    expect(viewOf(state, []).lines[0]).toMatchObject({ siblings: ['q', 'x'] })
    expect(shown(goneToLeaf(state))).toEqual(['q', 'r'])
  })

  it('knows where the older page is, and joins it', () => {
    const newest = applyFetched(nothingKnown, conversation(2, 'r'), {
      leaf: 'r',
      items: [onPath(reply)],
      next: 'cursor',
    })
    expect(viewOf(newest, []).older).toEqual({ leaf: 'r', before: 'cursor' })
    const whole = applyPage(newest, { leaf: 'r', items: [onPath(asked)], next: null })
    expect(shown(whole)).toEqual(['q', 'r'])
    expect(viewOf(whole, []).older).toBeNull()
  })

  it('ends even where parents form a ring', () => {
    let state = applyEvent(nothingKnown, changed(message('a', 'b')))
    state = applyEvent(state, changed(message('b', 'a')))
    state = applyEvent(state, { type: 'conversation.changed', seq: 3, conversation: conversation(3, 'a') })
    expect(viewOf(state, []).lines.length).toBeLessThanOrEqual(2)
  })
})

describe('another branch', () => {
  const beside = message('r2', 'q', { seq: 3, role: 'assistant' })

  it('that another device writes is told of, and can be gone to', () => {
    const state = applyEvent(answering(), { ...told(beside, 3), conversation: conversation(3, 'r2') })
    expect(shown(state)).toEqual(['q', 'r'])
    expect(viewOf(state, []).newerElsewhere).toEqual({ leafId: 'r2' })
    const gone = goneToLeaf(state)
    expect(shown(gone)).toEqual(['q', 'r2'])
    expect(viewOf(gone, []).newerElsewhere).toBeNull()
  })

  it('that this reader makes takes him along, whichever comes first', () => {
    const event = { ...told(beside, 3), conversation: conversation(3, 'r2') }
    const state = applyEvent(expecting(answering(), 'r2'), event)
    expect(shown(state)).toEqual(['q', 'r2'])
    const sent = { message: asked, reply: beside, generation_id: null, branched: true, limited: null }
    expect(shown(applySent(applyEvent(answering(), event), sent))).toEqual(['q', 'r2'])
  })

  it('that is older is none to be told of', () => {
    const before = applyEvent(answering(), changed({ ...beside, seq: 1.5 }))
    const state = applyEvent(before, {
      type: 'conversation.changed',
      seq: 9,
      conversation: conversation(9, 'r2'),
    })
    expect(shown(state)).toEqual(['q', 'r'])
    expect(viewOf(state, []).newerElsewhere).toBeNull()
  })
})

/** A path of `count` messages m1, m2 …, of which the last four are loaded. */
function long(count: number) {
  const path = Array.from({ length: count }, (_, index) =>
    onPath(
      message(`m${index + 1}`, index === 0 ? null : `m${index}`, {
        seq: index + 1,
        role: index % 2 === 0 ? 'user' : 'assistant',
      }),
    ),
  )
  const leaf = `m${count}`
  const items = path.slice(-4)
  const state = applyFetched(nothingKnown, conversation(count, leaf), {
    leaf,
    items,
    next: items[0]?.id ?? null,
  })
  return { state, path, leaf }
}

describe('a stretch far above', () => {
  function looking() {
    const { state, path, leaf } = long(30)
    return {
      path,
      leaf,
      state: applyStretch(state, {
        leaf,
        above: { leaf: 'm10', items: path.slice(7, 10), next: 'm8' },
        below: { leaf, items: path.slice(10, 12), next: 'm12' },
      }),
    }
  }

  it('stands on screen alone, with a place above and below', () => {
    const { state } = looking()
    expect(shown(state)).toEqual(['m8', 'm9', 'm10', 'm11', 'm12'])
    expect(viewOf(state, [])).toMatchObject({
      older: { leaf: 'm10', before: 'm8' },
      newer: { leaf: 'm30', after: 'm12' },
      parentId: 'm30',
    })
    expect(isLacking(state)).toBe(false)
    expect(viewOf(state, []).unanswered.size).toBe(0)
  })

  it('grows downwards until it meets the end', () => {
    const { state, path, leaf } = looking()
    const more = applyNewer(state, { leaf, items: path.slice(12, 20), next: 'm20' })
    expect(shown(more).at(-1)).toBe('m20')
    const met = applyNewer(more, { leaf, items: path.slice(20, 28), next: 'm28' })
    expect(shown(met).at(-1)).toBe('m30')
    expect(viewOf(met, []).newer).toBeNull()
    expect(shown(met)[0]).toBe('m8')
  })

  it('stays while something is said at the end, which is there when the reader goes back', () => {
    const { state } = looking()
    const said = applyEvent(state, {
      ...told(message('m31', 'm30', { seq: 31 }), 31),
      conversation: conversation(31, 'm31'),
    })
    expect(shown(said).at(-1)).toBe('m12')
    expect(isLacking(said)).toBe(false)
    expect(viewOf(said, []).newerElsewhere).toBeNull()
    expect(shown(goneToTip(said))).toEqual(['m27', 'm28', 'm29', 'm30', 'm31'])
  })

  it('holds when the conversation is fetched afresh', () => {
    const { state, path, leaf } = looking()
    const again = applyFetched(state, conversation(30, leaf), { leaf, items: path.slice(-4), next: 'm27' })
    expect(shown(again)).toEqual(['m8', 'm9', 'm10', 'm11', 'm12'])
  })
})

describe('what is on its way', () => {
  const entry = (id: string, parentId: string | null, isHere: boolean): OutboxEntry => ({
    id,
    conversationId: C,
    parentId,
    content: id,
    createdAt: 1,
    state: 'waiting',
    problem: null,
    reference: null,
    isHere,
  })
  const seen = (...entries: OutboxEntry[]) => viewOf(answering(), entries)
  const ids = (...entries: OutboxEntry[]) => seen(...entries).lines.map((line) => line.id)

  it('stands at the end, and the next message goes under it', () => {
    const view = seen(entry('a', 'r', true), entry('b', 'a', true))
    expect(view.lines.map((line) => line.id)).toEqual(['q', 'r', 'a', 'b'])
    expect(view.parentId).toBe('b')
  })

  it('from another tab stands there too, unless it is on another branch', () => {
    expect(ids(entry('far', 'r', false))).toEqual(['q', 'r', 'far'])
    expect(ids(entry('far', 'q', false))).toEqual(['q', 'r'])
    expect(ids(entry('far', 'r', false), entry('near', 'far', true))).toEqual(['q', 'r', 'far', 'near'])
  })

  it('from here goes before what another tab says at the same place', () => {
    const near = entry('near', 'r', true)
    const far = entry('far', 'r', false)
    for (const view of [seen(near, far), seen(far, near)]) {
      expect(view.lines.map((line) => line.id)).toEqual(['q', 'r', 'near'])
      expect(view.parentId).toBe('near')
    }
  })
})

describe('what was said', () => {
  it('is unanswered where no reply follows it, not even one that failed and says so', () => {
    const turn = (more: Partial<Message>) => {
      const state = applyEvent(answering(), changed({ ...reply, revision: 2, ...more }))
      return [...viewOf(state, []).unanswered]
    }
    expect(turn({ status: 'streaming' })).toEqual([])
    expect(turn({ status: 'complete', content: 'Aye' })).toEqual([])
    expect(turn({ status: 'failed' })).toEqual([])
    expect(turn({ status: 'failed', content: 'A' })).toEqual([])
    const after = applyEvent(answering(), changed(message('q2', 'r', { seq: 3 })))
    expect([...viewOf(after, []).unanswered]).toEqual(['q2'])
  })
})

describe('messages', () => {
  it('told twice are there once', () => {
    const event = changed({ ...reply, content: 'Aye', status: 'complete', revision: 5 })
    const once = applyEvent(answering(), event)
    expect(applyEvent(once, event)).toBe(once)
  })

  it('told out of order end in the newest revision', () => {
    const early = changed({ ...reply, content: 'A', status: 'streaming', revision: 2 })
    const late = changed({ ...reply, content: 'Aye.', status: 'complete', revision: 3 })
    const inOrder = [early, late].reduce(applyEvent, answering())
    const reversed = [late, early].reduce(applyEvent, answering())
    expect(said(inOrder)).toBe('Aye.')
    expect(said(reversed)).toBe('Aye.')
  })

  it('join the siblings of a known parent in the order of their storing', () => {
    const later = changed(message('r3', 'q', { seq: 9, role: 'assistant' }))
    const sooner = changed(message('r2', 'q', { seq: 5, role: 'assistant' }))
    const state = [later, sooner].reduce(applyEvent, answering())
    expect(state.siblings.get('q')).toEqual(['r', 'r2', 'r3'])
  })

  it('keep siblings that a page names without bringing them', () => {
    const state = applyPage(answering(), { leaf: 'r', items: [onPath(reply, ['r0', 'r'])], next: null })
    expect(applyEvent(state, changed(message('r9', 'q', { seq: 9 }))).siblings.get('q')).toEqual([
      'r0',
      'r',
      'r9',
    ])
  })

  it('that were sent take the reader to their reply, and an older page does not take him back', () => {
    const sent = {
      message: message('q2', 'r', { seq: 3 }),
      reply: message('r2', 'q2', {
        seq: 4,
        role: 'assistant',
        status: 'pending',
        content: '',
        generation_id: 'g2',
      }),
      generation_id: 'g2',
      branched: false,
      limited: null,
    }
    const state = applySent(answering(), sent)
    expect(shown(state)).toEqual(['q', 'r', 'q2', 'r2'])
    expect(applySent(state, sent)).toBe(state)
    const stale = applyEvent(state, {
      type: 'conversation.changed',
      seq: 2,
      conversation: conversation(2, 'r'),
    })
    expect(shown(stale)).toEqual(['q', 'r', 'q2', 'r2'])
  })
})

describe('growing text', () => {
  it('is appended where it continues what is known', () => {
    const state = [text('snapshot', 0, 'The '), text('delta', 4, 'mill')].reduce(applyEvent, answering())
    expect(said(state)).toBe('The mill')
  })

  it('told twice stands once', () => {
    const events = [text('snapshot', 0, 'The '), text('delta', 4, 'mill'), text('delta', 8, ' burns')]
    const once = events.reduce(applyEvent, answering())
    const twice = [...events, ...events].reduce(applyEvent, answering())
    expect(said(twice)).toBe('The mill burns')
    expect(twice.live.get('r')).toEqual(once.live.get('r'))
    expect(isLacking(twice)).toBe(false)
  })

  it('takes only what is new of a piece that overlaps', () => {
    const state = [text('snapshot', 0, 'The mi'), text('delta', 4, 'mill')].reduce(applyEvent, answering())
    expect(said(state)).toBe('The mill')
  })

  it('counts characters, not UTF-16 units', () => {
    const state = [text('snapshot', 0, '🐉🐉'), text('delta', 2, 'roar'), text('delta', 1, '🐉roars')].reduce(
      applyEvent,
      answering(),
    )
    expect(said(state)).toBe('🐉🐉roars')
    expect(state.live.get('r')?.end).toBe(7)
  })

  it('with a piece missing asks for the whole', () => {
    const state = applyEvent(answering(), text('delta', 7, 'lost'))
    expect(isLacking(state)).toBe(true)
    expect(said(state)).toBe('')
  })

  it('goes on from stored text when a reply is continued', () => {
    const stopped = { ...reply, content: 'Once', status: 'interrupted' as const, revision: 4 }
    let state = applyEvent(answering(), changed(stopped))
    state = applyEvent(state, text('delta', 4, ' upon', 'g2'))
    state = applyEvent(state, changed({ ...stopped, status: 'streaming', revision: 5, generation_id: 'g2' }))
    expect(said(state)).toBe('Once upon')
  })

  it('stays longer than an older checkpoint, and gives way to the final text', () => {
    let state = applyEvent(answering(), text('snapshot', 0, 'The mill burns'))
    state = applyEvent(state, changed({ ...reply, content: 'The', status: 'streaming', revision: 2 }))
    expect(said(state)).toBe('The mill burns')
    state = applyEvent(state, changed({ ...reply, content: 'The mill.', status: 'complete', revision: 3 }))
    expect(said(state)).toBe('The mill.')
    expect(said(applyEvent(state, text('delta', 9, ' late')))).toBe('The mill.')
  })
})
