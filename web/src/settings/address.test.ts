import { describe, expect, it } from 'vitest'
import { mendedAddress } from './address'
import TABLE from './addresses.json'

describe("a provider's address", () => {
  it.each(TABLE as [string, string][])('%j is mended to %j', (typed, mended) => {
    expect(mendedAddress(typed)).toBe(mended)
  })

  it('is left as it is once it is mended', () => {
    for (const [, mended] of TABLE as [string, string][]) expect(mendedAddress(mended)).toBe(mended)
  })
})
