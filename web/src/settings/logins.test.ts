import { describe, expect, it } from 'vitest'
import type { Token } from '../api/types'
import { factsOf, wordsFor } from './logins'

const now = Date.now()
const session: Token = {
  id: 's',
  kind: 'session',
  created_at: now,
  last_used_at: null,
  expires_at: now + 30 * 86_400_000,
  is_current: false,
}

describe('what lets somebody in', () => {
  it('is called by what it is, and this browser by its name', () => {
    expect(wordsFor({ ...session, is_current: true }).title).toBe('This browser')
    expect(wordsFor(session).title).toBe('A browser that is logged in')
    expect(wordsFor({ ...session, kind: 'bearer' }).title).toBe('A token for programs')
  })

  it('says when it was made, used last and ends', () => {
    expect(factsOf(session)).toEqual([
      expect.stringMatching(/^logged in .*\d:\d\d/),
      expect.stringMatching(/^until .+ unless used before$/),
    ])
    expect(factsOf({ ...session, last_used_at: now })[1]).toBe('last used today')
    expect(factsOf({ ...session, kind: 'bearer', expires_at: null })).toEqual([
      expect.stringMatching(/^made .*\d:\d\d/),
      'until it is ended',
    ])
  })

  it('that is a link ends at its moment, and that of the start with the server', () => {
    expect(factsOf({ ...session, kind: 'login', expires_at: now })[1]).toMatch(/^until .*\d:\d\d/)
    expect(factsOf({ ...session, kind: 'login', expires_at: null })[1]).toBe('until the server stops')
  })
})
