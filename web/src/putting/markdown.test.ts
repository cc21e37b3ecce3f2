import { describe, expect, it } from 'vitest'
import { allAsMarkdown, asMarkdown } from './markdown'

const said = {
  role: 'user' as const,
  content: 'We knock.\n\nAnd wait.',
  created_at: Date.UTC(2026, 10, 22, 12),
  model: null,
  status: 'complete' as const,
  finish_reason: null,
}
const reply = { ...said, role: 'assistant' as const, content: '*Nobody* answers.\n', model: 'small' }

describe('what was said, as Markdown', () => {
  it('says who and when, and quotes the game master line by line', () => {
    expect(asMarkdown(said)).toMatch(/^\*\*You\*\* · .*2026.*\n\n> We knock\.\n>\n> And wait\.\n$/)
  })

  it('keeps a reply as it was written, and says that one broke off', () => {
    expect(asMarkdown(reply)).toMatch(/^\*\*Reply \(small\)\*\* · .*\n\n\*Nobody\* answers\.\n$/)
    expect(asMarkdown({ ...reply, status: 'interrupted' })).toMatch(/answers\.\n\n\*\(broken off\)\*\n$/)
  })

  it.each([
    ['length', 'cut at the length limit'],
    ['filtered', 'stopped by the provider’s filter'],
    ['refused', 'the model refused'],
  ] as const)('says that a reply ended for %s', (reason, words) => {
    expect(asMarkdown({ ...reply, finish_reason: reason }).endsWith(`answers.\n\n*(${words})*\n`)).toBe(true)
  })

  it('begins with the title, and has all in order', () => {
    const text = allAsMarkdown('The mill', [said, reply])
    expect(text.startsWith('# The mill\n\n**You**')).toBe(true)
    expect(text.indexOf('> We knock.')).toBeLessThan(text.indexOf('*Nobody*'))
  })
})
