import { describe, expect, it } from 'vitest'
import { wordsOf } from '../map/folding'
import { beginningOf, shortened } from './cutting'

const signs = ['👩‍👩‍👧', '🇩🇪', 'é', '👍🏽', '한', 'a']

describe('a text that is cut', () => {
  it('is never cut within what is seen as one character', () => {
    const text = signs.join('')
    const beginnings = signs.map((_, count) => signs.slice(0, count).join(''))
    for (let most = 8; most < text.length; most++) {
      expect(beginnings).toContain(beginningOf(text, most))
      expect(beginningOf(text, most).length).toBeLessThanOrEqual(most)
    }
    expect(beginningOf(text, text.length)).toBe(text)
  })

  it('says by an ellipsis that something was left out', () => {
    expect(shortened('The keep', 8)).toBe('The keep')
    expect(shortened('The keep!', 8)).toBe('The kee…')
    expect(shortened(`${'x'.repeat(46)}👩‍👩‍👧!`, 48)).toBe(`${'x'.repeat(46)}…`)
  })

  it('is whole characters in the branch map, too', () => {
    expect(wordsOf(`${'x'.repeat(88)}👩‍👩‍👧 and more`)).toBe(`${'x'.repeat(88)}…`)
    expect(wordsOf(`${'*'.repeat(358)}x👩‍👩‍👧`)).toBe('x')
  })
})
