import { describe, expect, it } from 'vitest'
import { askedAt, narrowings, placeIn } from './asking'

describe('what the search page asks', () => {
  it('stands in its address, and what makes no sense there is left out', () => {
    const place = placeIn({
      q: 1984,
      role: 'user',
      purpose: 'world_building',
      from: '2026-01-02',
      to: 'soon',
    })
    expect(place).toEqual({
      q: '1984',
      role: 'user',
      purpose: 'world_building',
      from: '2026-01-02',
      to: undefined,
      archived: undefined,
    })
    expect(narrowings(place)).toBe(3)
    expect(narrowings(placeIn({ q: 'mill', role: 'nobody', purpose: 'toString' }))).toBe(0)
  })

  it('takes both days whole, by the reader’s own clock', () => {
    const { from, to } = askedAt({ q: ' mill ', from: '2026-03-01', to: '2026-03-01' })
    expect(new Date(from ?? 0).getHours()).toBe(0)
    expect(from).toBe(new Date(2026, 2, 1).getTime())
    expect(to).toBe(new Date(2026, 2, 2).getTime())
    expect(askedAt({ q: ' mill ' }).q).toBe('mill')
  })

  it('looks into the archive unless told not to', () => {
    expect(askedAt({ q: 'mill' }).archived).toBeUndefined()
    expect(askedAt({ q: 'mill', archived: 'no' }).archived).toBe(false)
  })
})
