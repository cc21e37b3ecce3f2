import { describe, expect, it } from 'vitest'
import { parsedEvent } from './events'

const delta = { conversation_id: 'c', message_id: 'm', generation_id: 'g', offset: 0, text: 'Aye' }

describe('a frame', () => {
  it('carries an event, whose name is its type', () => {
    expect(parsedEvent('delta', JSON.stringify(delta))).toEqual({ type: 'delta', ...delta })
  })

  it('of a name that this page does not know carries none', () => {
    for (const name of ['weather', 'message', 'toString', '']) {
      expect(parsedEvent(name, JSON.stringify(delta)), name).toBeNull()
    }
  })

  it('that lacks what its event must have carries none', () => {
    const { text: _, ...less } = delta
    for (const data of [less, { ...delta, offset: '0' }, { ...delta, text: null }, [], null, 'delta', 7]) {
      expect(parsedEvent('delta', JSON.stringify(data))).toBeNull()
    }
    expect(parsedEvent('delta', '{')).toBeNull()
    expect(parsedEvent('message.changed', '{"seq":1,"conversation":{},"message":null}')).toBeNull()
  })

  it('of a newer server may carry more', () => {
    expect(parsedEvent('resync', '{"conversation_id":"c","why":"late"}')).toMatchObject({
      type: 'resync',
      conversation_id: 'c',
    })
  })
})
