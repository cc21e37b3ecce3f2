import { expect, test } from 'vitest'
import { readTokens } from './tokenCount'

test.each([
  ['', null],
  ['  ', null],
  ['32000', 32_000],
  ['32,000', 32_000],
  ['32 000', 32_000],
  ['1.000.000', 1_000_000],
  ['32k', 32_000],
  ['256', 256],
  ['255', undefined],
  ['100000001', undefined],
  ['many', undefined],
  ['3.5k', undefined],
])('%j is read as %j', (text, count) => {
  expect(readTokens(text)).toBe(count)
})
