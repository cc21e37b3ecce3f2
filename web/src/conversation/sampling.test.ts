import { describe, expect, it } from 'vitest'
import { AS_THE_PROVIDER_DECIDES, readSampling, toldSampling, written } from './sampling'

const EMPTY = { temperature: '', top_p: '', max_tokens: '', longest_request: '' }

describe('reply settings', () => {
  it('leave to the provider what is empty', () => {
    expect(readSampling(EMPTY)).toEqual({ sampling: AS_THE_PROVIDER_DECIDES, problems: {} })
  })

  it('take a comma as well as a point', () => {
    expect(
      readSampling({ temperature: ' 0,7 ', top_p: '0.9', max_tokens: '500', longest_request: '16000' })
        .sampling,
    ).toEqual({
      temperature: 0.7,
      top_p: 0.9,
      max_tokens: 500,
      longest_request: 16_000,
    })
  })

  it.each([
    ['temperature', '2.1'],
    ['temperature', '-1'],
    ['temperature', '1e0'],
    ['temperature', 'warm'],
    ['top_p', '0'],
    ['top_p', '1.01'],
    ['max_tokens', '0'],
    ['max_tokens', '1.5'],
    ['max_tokens', '1000001'],
    ['longest_request', '255'],
    ['longest_request', '2000.5'],
  ] as const)('refuse a %s of %s and keep nothing', (name, value) => {
    const read = readSampling({ ...EMPTY, [name]: value })
    expect(read.sampling).toBeNull()
    expect(Object.keys(read.problems)).toEqual([name])
  })

  it('read back what they wrote', () => {
    const sampling = { temperature: 0, top_p: 1, max_tokens: 1_000_000, longest_request: 1_000_000 }
    expect(readSampling(written(sampling)).sampling).toEqual(sampling)
  })

  it('are told in few words, and not at all where nothing is set', () => {
    expect(toldSampling(AS_THE_PROVIDER_DECIDES)).toBeNull()
    expect(toldSampling({ temperature: 0, top_p: null, max_tokens: 1500, longest_request: 8000 })).toBe(
      'temperature 0 · at most 1,500 tokens · requests up to 8,000 tokens',
    )
  })
})
