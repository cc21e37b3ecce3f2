import { describe, expect, it } from 'vitest'
import type { ServerEvent } from '../api/events'
import type { Conversation, Message, PathMessage } from '../api/types'
import {
  applyEvent,
  applyFetched,
  applyPage,
  applySent,
  type ConversationState,
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
    provider: null,
    model: null,
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
    error: null,
    ...more,
  }
}

const onPath = (each: Message, siblings: string[] = [each.id]): PathMessage => ({
  ...each,
  sibling_ids: siblings,
})

function changed(each: Message, seq = each.seq): ServerEvent {
  return { type: 'message.changed', seq, conversation_id: C, conversation: null, message: each }
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

  it('stays where it is until the path to another leaf is known', () => {
    const told = applyEvent(answering(), {
      type: 'conversation.changed',
      seq: 9,
      conversation: conversation(9, 'x'),
    })
    expect(shown(told)).toEqual(['q', 'r'])
    expect(isLacking(told)).toBe(true)
    const fetched = applyFetched(told, conversation(9, 'x'), {
      leaf: 'x',
      items: [onPath(message('x', null, { seq: 8 }), ['q', 'x'])],
      next: null,
    })
    expect(shown(fetched)).toEqual(['x'])
    expect(isLacking(fetched)).toBe(false)
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
