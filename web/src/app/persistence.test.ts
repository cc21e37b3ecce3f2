import { describe, expect, it } from 'vitest'
import { persistenceOf, type Seen } from './persistence'

const fine: Seen = {
  reach: 'here',
  health: { state: 'available', reasons: [] },
  isNewsRefused: false,
  waiting: 0,
  unsaved: 0,
  isLasting: true,
}
const full = { code: 'store_full', message: 'The disk is full. Free some space.' }

describe('whether what is said can be saved', () => {
  it('is nothing to talk of while it can', () => {
    expect(persistenceOf(fine).state).toBe('available')
    expect(persistenceOf({ ...fine, waiting: 3 }).state).toBe('available')
  })

  it('is unavailable while the server is away, whatever it said before', () => {
    const away = persistenceOf({ ...fine, reach: 'away', waiting: 2, unsaved: 2 })
    expect(away).toMatchObject({ state: 'unavailable', headline: 'The server is not answering.' })
    expect(away.advice).toContain('2 messages wait in this browser and go out when saving works again')
  })

  it('says that the tab must stay open where the browser stores nothing', () => {
    const away = persistenceOf({ ...fine, reach: 'away', waiting: 1, isLasting: false })
    expect(away.advice).toContain('One message waits in this tab')
    expect(away.advice).toContain('keep the tab open')
  })

  it("is unavailable for the server's own reason, in its words", () => {
    const trouble = persistenceOf({ ...fine, health: { state: 'unavailable', reasons: [full] } })
    expect(trouble.state).toBe('unavailable')
    expect(trouble.advice).toContain(full.message)
    expect(trouble.reasons).toEqual([full])
  })

  it('is degraded, not away, while the server refuses to tell what is new', () => {
    const refused = persistenceOf({ ...fine, isNewsRefused: true })
    expect(refused).toMatchObject({ state: 'degraded', headline: 'This page does not hear what is new.' })
    expect(refused.advice).toContain('What you write is saved.')
    expect(persistenceOf({ ...fine, reach: 'away', isNewsRefused: true }).state).toBe('unavailable')
  })

  it('is degraded while something was tried in vain, or stands in the way', () => {
    expect(persistenceOf({ ...fine, unsaved: 1, waiting: 1 })).toMatchObject({
      state: 'degraded',
      headline: 'One message is not saved yet.',
    })
    expect(persistenceOf({ ...fine, health: { state: 'degraded', reasons: [full] } })).toMatchObject({
      state: 'degraded',
      advice: full.message,
    })
  })
})
