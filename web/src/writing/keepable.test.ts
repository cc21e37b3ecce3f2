import { describe, expect, it } from 'vitest'
import { inOneLine, searchable, sendable, unkeepableIn, withLineEnds, withoutUnkeepable } from './keepable'

describe('line ends', () => {
  it('are what Word, PDFs and other systems end lines and pages with', () => {
    expect(withLineEnds('a\vb\fc\rd\r\ne\u0085f\u2028g\u2029h\ni')).toBe('a\nb\nc\nd\ne\nf\ng\nh\ni')
  })

  it('are blanks where there is one line, and so are tabs', () => {
    expect(inOneLine('The\tmill\vat\r\nnight')).toBe('The mill at night')
  })

  it('leave all other characters as they are', () => {
    const text = '  a\tb\u00a0c\u200bd\ufeff👩‍👩‍👧 \u202e'
    expect(withLineEnds(text)).toBe(text)
    expect(unkeepableIn(text)).toBe(null)
  })
})

describe('what cannot be kept', () => {
  it('is exactly what the server refuses in a text', () => {
    const refused = Array.from({ length: 0x10000 }, (_, code) => code).filter(
      (code) => unkeepableIn(String.fromCharCode(code)) !== null,
    )
    const wanted = Array.from({ length: 0x10000 }, (_, code) => code).filter(
      (code) => (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) || code >> 11 === 0x1b,
    )
    expect(refused).toEqual(wanted)
  })

  it('is any control in a title', () => {
    for (const code of [0x00, 0x07, 0x7f, 0x80, 0x9f, 0xd800])
      expect(unkeepableIn(`The${String.fromCharCode(code)}mill`, 'title')).not.toBe(null)
    expect(unkeepableIn('The mill 👩', 'title')).toBe(null)
  })

  it('is named, with the place of the first', () => {
    expect(unkeepableIn('\0')).toBe('1 character that cannot be kept: U+0000 (null), at the beginning.')
    expect(unkeepableIn('A long way to go, said the dragon\u0007.')).toBe(
      '1 character that cannot be kept: U+0007 (bell), after “…go, said the dragon”.',
    )
    expect(unkeepableIn('a\u001b[0mb\u001b\u0008\u0007\0')).toBe(
      '5 characters that cannot be kept: U+001B (escape), U+0008 (backspace), U+0007 (bell) and others, the first after “a”.',
    )
    expect(unkeepableIn('half an emoji \ud83d!')).toContain('U+D83D (half of a character)')
    expect(unkeepableIn('half an emoji \ude00!')).toContain('U+DE00 (half of a character)')
  })

  it('is removed, and nothing else is', () => {
    expect(withoutUnkeepable('a\0b\ud83dc\ude00👩\td\n')).toBe('abc👩\td\n')
    expect(withoutUnkeepable('a\u0080b', 'title')).toBe('ab')
  })

  it('is a blank where words are only looked for', () => {
    expect(searchable('the\0mill\vat\ud83dnight')).toBe('the mill at night')
  })
})

describe('a message as it is sent', () => {
  it('is nothing where there are only blanks', () => {
    for (const text of ['', ' ', '\n\t \n', '\u00a0\u3000']) expect(sendable(text)).toBe('')
  })

  it('takes no longer for many blank lines', () => {
    const text = `${'\n '.repeat(100_000)}x`
    const began = performance.now()
    expect(sendable(text)).toBe(text)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})
