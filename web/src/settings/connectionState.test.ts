import { expect, test } from 'vitest'
import type { Connection } from '../api/types'
import { stateOf } from './connectionState'

const connection = (more: Partial<Connection>): Connection =>
  ({
    configured: true,
    note: null,
    health: { state: 'unknown', at: null, error: null },
    ...more,
  }) as Connection

test('a connection says what keeps it from answering, before how it answered', () => {
  const failing = { state: 'failing', at: 1, error: null } as const
  expect(stateOf(connection({}))).toBe('not asked yet')
  expect(stateOf(connection({ configured: false }))).toBe('no key')
  expect(stateOf(connection({ configured: false, note: 'The stored key cannot be opened.' }))).toBe(
    'cannot be used',
  )
  expect(stateOf(connection({ health: failing }))).toBe('does not answer')
  expect(stateOf(connection({ configured: false, health: failing }))).toBe('no key')
  expect(stateOf(connection({ health: { state: 'answering', at: 1, error: null } }))).toMatch(/^answered at /)
})
