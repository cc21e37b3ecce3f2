import { render } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { type Blocks, blocksOf } from './blocks'
import { closed } from './closing'
import { Markdown } from './Markdown'
import { decodeNamedCharacterReference, missingReferences } from './references'
import * as sanitizing from './sanitizing'
import { speechIn } from './speech'
import * as tree from './tree'

const tale = `The mill *stands*.

- one

- two
  more

\`\`\`
code

still code
\`\`\`

1. first
2. second

End.`

const texts = (text: string, before?: Blocks) => blocksOf(text, before).blocks.map((block) => block.text)

describe('blocks', () => {
  it('joined are the text', () => {
    for (let end = 0; end <= tale.length; end++)
      expect(texts(tale.slice(0, end)).join('')).toBe(tale.slice(0, end))
  })

  it('keep lists and fences whole', () => {
    expect(texts(tale).map((block) => block.trim().split('\n')[0])).toEqual([
      'The mill *stands*.',
      '- one',
      '```',
      '1. first',
      'End.',
    ])
  })

  it('of a text that grew are those of the whole text, and settled ones are the same objects', () => {
    // An item's number is no item before its dot has come.
    const long = `${tale}\n\n1. one\n\n2. two\n\n- a\n\nb\n\n`.repeat(3)
    let grown: Blocks | undefined
    for (let end = 0; end <= long.length; end++) {
      const next = blocksOf(long.slice(0, end), grown)
      expect(next.blocks).toEqual(blocksOf(long.slice(0, end)).blocks)
      if (grown !== undefined)
        for (let i = 0; i < grown.settled.count; i++) expect(next.blocks[i]).toBe(grown.blocks[i])
      grown = next
    }
  })

  it('of a long list or a long verse stay small, and a growing end is all that is scanned', () => {
    for (const line of ['- a goblin with *two* knives\n', '[Guard]: Halt!\n', 'a line of verse\n']) {
      const { blocks } = blocksOf(line.repeat(4000))
      expect(blocks.every(({ kind }) => kind === 'markdown')).toBe(true)
      expect(Math.max(...blocks.map(({ weight }) => weight))).toBeLessThan(20_000)
      expect(blocks.slice(1).every(({ joins }) => joins)).toBe(true)
    }
  })

  it('are plain text where they are too deep or too long to be parsed', () => {
    const nested = [
      '>'.repeat(2300),
      '> '.repeat(40),
      '- '.repeat(1000),
      '1. '.repeat(1000),
      Array.from({ length: 80 }, (_, depth) => `${'  '.repeat(depth)}- a`).join('\n'),
      '!['.repeat(5000),
      '*a **b '.repeat(2000),
      'x'.repeat(50_000),
      `| a | b |\n| - | - |\n${'| c | d |\n'.repeat(1000)}`,
    ]
    for (const text of nested) {
      const { blocks } = blocksOf(text)
      expect(blocks.map(({ kind }) => kind)).toEqual(blocks.map(() => 'plain'))
      expect(blocks.map((block) => block.text).join('')).toBe(text)
      expect(Math.max(...blocks.map((block) => block.text.length))).toBeLessThanOrEqual(4000)
    }
  })

  it('of plain text are cut after words and never inside a character', () => {
    for (const word of ['word ', '🧙', 'line\n']) {
      const slices = texts('>'.repeat(40) + word.repeat(9000))
      expect(slices.length).toBeGreaterThan(2)
      for (const slice of slices) expect(() => encodeURIComponent(slice)).not.toThrow()
      for (const slice of slices.slice(0, -1)) expect(slice.endsWith(word)).toBe(true)
    }
  })
})

describe('speech', () => {
  const said = (text: string) => speechIn(text).map(([from, to]) => text.slice(from, to))

  it('is what stands in quotation marks', () => {
    expect(said('"Sit," he says, “and drink.” »Nein« «Non» „Ja“')).toEqual([
      '"Sit,"',
      '“and drink.”',
      '»Nein«',
      '«Non»',
      '„Ja“',
    ])
  })

  it('is no measure, and runs on where it is not closed', () => {
    expect(said('a 5" blade')).toEqual([])
    expect(said('He says "wait')).toEqual(['"wait'])
  })
})

describe('closing', () => {
  it('ends what is open', () => {
    expect(closed('He *nods')).toBe('He *nods*')
    expect(closed('He **nods *slow')).toBe('He **nods *slow***')
    expect(closed('Use `DC 1')).toBe('Use `DC 1`')
    expect(closed('He nods. *')).toBe('He nods.')
    expect(closed('* item')).toBe('* item')
    expect(closed('done *and* over')).toBe('done *and* over')
  })
})

describe('a message on the page', () => {
  const html = (text: string) => render(<Markdown text={text} />).container

  it('tells speech apart, also around emphasis, and never in code', () => {
    const { children } = html('"Go *now*," she says. `"not said"`').querySelector('p') ?? { children: [] }
    expect([...children].map((each) => each.outerHTML)).toEqual([
      '<span class="speech">"Go </span>',
      '<em><span class="speech">now</span></em>',
      '<span class="speech">," </span>'.replace(' </span>', '</span>'),
      '<code>"not said"</code>',
    ])
  })

  it('brings no script, no frame, no style and no picture from anywhere', () => {
    const page = html(
      [
        '<script>alert(1)</script><img src=x onerror=alert(1)><iframe src="https://evil.example"></iframe>',
        '![secret](https://evil.example/?q=1) [x](javascript:alert(1)) [y](data:text/html,x) [z](//evil.example)',
        '<a href="https://ok.example" onclick="alert(1)" style="position:fixed">a</a> [ok](https://ok.example)',
      ].join('\n\n'),
    )
    expect(page.querySelectorAll('script, img, iframe, style, [onclick], [onerror], [style]')).toHaveLength(0)
    const links = [...page.querySelectorAll('a')]
    expect(links.map((link) => link.getAttribute('href'))).toEqual([
      'https://evil.example/?q=1',
      'https://ok.example/',
    ])
    for (const link of links) {
      expect(link.rel).toBe('noopener noreferrer nofollow')
      expect(link.target).toBe('_blank')
    }
    expect(page.textContent).toContain('Picture: secret (evil.example)')
  })

  it('swallows no word that looks like HTML', () => {
    const page = html('The <old> miller <says>\n\n<the door opens>\n\n- <b>a\n\n| a |\n| - |\n| b<br>c |')
    expect([...page.querySelectorAll('p, td')].map((each) => each.textContent)).toEqual([
      'The <old> miller <says>',
      '<the door opens>',
      '<b>a',
      'b\nc',
    ])
    expect(page.querySelectorAll('b, old')).toHaveLength(0)
    const rows = [...page.querySelectorAll('table, thead, tbody, tr')]
    expect(rows.flatMap((each) => [...each.childNodes]).filter((each) => each instanceof Text)).toEqual([])
  })

  it('ends in a cursor while it grows', () => {
    const { container } = render(<Markdown text="The mill *sta" growing />)
    expect(container.querySelector('.growing em')?.textContent).toBe('sta')
  })
})

describe('words that Markdown would swallow', () => {
  const shown = (text: string, own = false) => {
    const { container } = render(<Markdown text={text} own={own} />)
    return [...container.querySelectorAll('p, pre, h1, h2, td, th')].map((each) => each.textContent)
  }
  const html = (text: string, own = false) => render(<Markdown text={text} own={own} />).container

  it.each([
    ['an initiative list', '[Goblin]: 17\n[Orc]: 12', ['[Goblin]: 17\n[Orc]: 12']],
    ['a list before a sentence', '[Goblin]: 17\nThen *they* come.', ['[Goblin]: 17\nThen they come.']],
    ['a speech', '[Guard]: Halt!\n\nHe looks at [Guard].', ['[Guard]: Halt!', 'He looks at [Guard].']],
    ['a title of a definition', '[a]: /b "c d"', ['[a]: /b "c d"']],
    ['a note without its mark', '[^1]: Never said.', ['1: Never said.']],
    [
      'a link that leads nowhere',
      'Roll [attack](2d6+3) and [*hide*](x "y")',
      ['Roll [attack](2d6+3) and [hide](x "y")'],
    ],
    ['a picture that is nowhere', '![map](cave.png)', ['![map](cave.png)']],
    ['a link without words', '[](https://a.example/)', ['https://a.example/']],
    ['cells beyond the header', '| a |\n| - |\n| b | c |', ['a', '', 'b', 'c']],
    ['what a code block says of itself', '```js the door\nx\n```', ['js the door', 'x\n']],
    ['a product', '5*6*7 and 2*x*y and a*b*c', ['5*6*7 and 2*x*y and a*b*c']],
    ['a formula', '\\(x\\) and \\[y\\]', ['\\(x\\) and \\[y\\]']],
    ['one tilde', '(~$1.50) and (~$10)', ['(~$1.50) and (~$10)']],
    ['marks around nothing', '#', ['#']],
    ['a bullet without words', '-', ['-']],
    ['a quote of nothing', '>', ['>']],
    ['an empty table', '| |\n| - |', ['| |\n| - |']],
  ])('%s', (_, text, expected) => {
    expect(shown(text)).toEqual(expected)
  })

  it('are backslashes and blanks of own messages', () => {
    expect(shown('¯\\_(ツ)_/¯ C:\\new\\\nline\\*', true)).toEqual(['¯\\_(ツ)_/¯ C:\\new\\\nline\\*'])
    expect(shown('    four\n  two\nnone', true)).toEqual(['    four\n  two\nnone'])
    expect(html('    four', true).querySelector('code')).toBeNull()
    expect(html('a \\*b\\*', true).querySelector('em')).toBeNull()
  })

  it('are the blanks of a verse', () => {
    expect(shown('The mill\n  stands\n    by the *fen\n  and* waits')).toEqual([
      'The mill\n  stands\n    by the fen\n  and waits',
    ])
  })

  it('and a backslash before a mark is none in a reply', () => {
    expect(shown('\\*not emphasis\\* and \\$5')).toEqual(['*not emphasis* and $5'])
  })

  it('are the numbers of an initiative list', () => {
    const values = (text: string) =>
      [...html(text).querySelectorAll('li')].map((each) => each.getAttribute('value'))
    expect(values('20. Rogue\n17. Goblin\n5. Wizard')).toEqual(['20', '17', '5'])
    expect(values('1. a\n1. b')).toEqual([null, null])
    expect(html('3. a\n4. b').querySelector('ol')?.getAttribute('start')).toBe('3')
  })
})

describe('Markdown', () => {
  const html = (text: string) => render(<Markdown text={text} />).container

  it('follows a definition from any block', () => {
    const links = html(
      'See [the map][m], [m] and [M][].\n\n[m]: <https://maps.example/a_b> "The fen"',
    ).querySelectorAll('a')
    expect([...links].map((link) => [link.textContent, link.href, link.title]).slice(0, 3)).toEqual([
      ['the map', 'https://maps.example/a_b', 'The fen'],
      ['m', 'https://maps.example/a_b', 'The fen'],
      ['M', 'https://maps.example/a_b', 'The fen'],
    ])
  })

  it('emphasizes beside Chinese and Japanese punctuation', () => {
    expect(html('**「門」**を開けた。').querySelector('strong')?.textContent).toBe('「門」')
    expect(html('他说**“走吧。”**然后').querySelector('strong')?.textContent).toBe('“走吧。”')
    expect(html('un*frigging*believable').querySelector('em')?.textContent).toBe('frigging')
    expect(html('She*waves*there').querySelector('em')?.textContent).toBe('waves')
  })

  it('lets each paragraph have its own direction', () => {
    const children = [...html('שלום\n\nHello\n\n- אחת').querySelectorAll('.block > *')]
    expect(children.map((each) => each.getAttribute('dir'))).toEqual(['auto', 'auto', 'auto'])
  })

  it('raises the numbers of notes', () => {
    expect(html('As said[^2].').querySelector('sup')?.textContent).toBe('2')
  })

  it('decodes named references once their table has come', async () => {
    expect(missingReferences('D&D; AT&T; &#35; & so on')).toBe(null)
    expect(decodeNamedCharacterReference('copy')).toBe(false)
    await missingReferences('&copy; 1974')
    expect(missingReferences('&copy; 1974')).toBe(null)
    expect(decodeNamedCharacterReference('copy')).toBe('©')
    expect(decodeNamedCharacterReference('nosuch')).toBe(false)
    expect(decodeNamedCharacterReference('constructor')).toBe(false)
  })

  it('parses a block of a growing text no more once the next has begun', () => {
    const parsed = vi.spyOn(tree, 'treeOf')
    const text = `[Guard]: Halt!\n\n${'The mill stands by the *fen*.\n\n'.repeat(40)}`
    const { rerender } = render(<Markdown text="" growing />)
    let steps = 0
    for (let end = 0; end <= text.length; end += 7) {
      rerender(<Markdown text={text.slice(0, end)} growing />)
      steps += 1
    }
    const blocks = blocksOf(text).blocks.length
    expect(parsed.mock.calls.length).toBeLessThanOrEqual(steps + blocks)
  })

  it('shows what is too deep as it was written, and says so', () => {
    const deep = `${'*a _b '.repeat(120)}${'c_ d* '.repeat(120)}`
    const { container } = render(<Markdown text={deep} />)
    expect(container.querySelector('.written')?.textContent).toBe(deep)
    expect(container.querySelector('.info')?.textContent).toContain('to be formatted')
  })

  it('shows the text of a block that cannot be drawn, and formats the others', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    vi.spyOn(sanitizing, 'safeAddress').mockImplementation((address) => {
      if (address?.includes('broken')) throw new Error('broken')
      return new URL(address ?? '')
    })
    const page = html('*One*\n\n[two](https://broken.example)\n\n*Three*')
    expect(page.querySelectorAll('em')).toHaveLength(2)
    expect(page.querySelector('.written')?.textContent?.trim()).toBe('[two](https://broken.example)')
    expect(page.querySelector('.info')?.textContent).toBe('This could not be formatted:')
  })
})
