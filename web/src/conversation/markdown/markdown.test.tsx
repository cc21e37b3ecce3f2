import { render } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { blocksOf } from './blocks'
import { closed } from './closing'
import { Markdown } from './Markdown'
import { speechIn } from './speech'

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

describe('blocks', () => {
  it('joined are the text', () => {
    expect(blocksOf(tale).join('')).toBe(tale)
    for (let end = 0; end < tale.length; end++)
      expect(blocksOf(tale.slice(0, end)).join('')).toBe(tale.slice(0, end))
  })

  it('keep lists and fences whole', () => {
    expect(blocksOf(tale).map((block) => block.trim().split('\n')[0])).toEqual([
      'The mill *stands*.',
      '- one',
      '```',
      '1. first',
      'End.',
    ])
  })

  it('but the last stay the same while the text grows', () => {
    const before = blocksOf(tale.slice(0, 60))
    const after = blocksOf(tale)
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1))
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
    expect([...page.querySelectorAll('p, li, td')].map((each) => each.textContent)).toEqual([
      'The <old> miller <says>',
      '<the door opens>',
      '<b>a',
      'b\nc',
    ])
    expect(page.querySelectorAll('b, old')).toHaveLength(0)
    expect(page.querySelectorAll('td br')).toHaveLength(1)
  })

  it('ends in a cursor while it grows', () => {
    const { container } = render(<Markdown text="The mill *sta" growing />)
    expect(container.querySelector('.growing em')?.textContent).toBe('sta')
  })
})
