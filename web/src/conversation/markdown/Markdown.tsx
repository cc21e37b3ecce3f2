import { memo } from 'react'
import ReactMarkdown, { type Components } from 'react-markdown'
import rehypeSanitize from 'rehype-sanitize'
import remarkGfm from 'remark-gfm'
import { blocksOf } from './blocks'
import { closed } from './closing'
import { safeAddress, schema } from './sanitizing'
import { rehypeSpeech } from './speech'
import { remarkWords } from './words'

const remarkPlugins = [remarkGfm, remarkWords]
const rehypePlugins = [rehypeSpeech, [rehypeSanitize, schema]] as Parameters<
  typeof ReactMarkdown
>[0]['rehypePlugins']

const outside = { target: '_blank', rel: 'noopener noreferrer nofollow' } as const

const components: Components = {
  a: ({ href, children }) => {
    const url = safeAddress(href)
    return url === null ? (
      <span>{children}</span>
    ) : (
      <a href={url.href} {...outside}>
        {children}
      </a>
    )
  },
  // A picture from elsewhere would tell its host who reads what, so it is only named.
  img: ({ src, alt }) => {
    const url = safeAddress(typeof src === 'string' ? src : undefined)
    const words = alt ? `Picture: ${alt}` : 'Picture'
    return url === null || url.host === '' ? (
      <span>{words}</span>
    ) : (
      <a href={url.href} {...outside}>
        {words} ({url.host})
      </a>
    )
  },
  pre: ({ children }) => (
    // A long line scrolls inside its block, also by keyboard.
    <pre tabIndex={0}>{children}</pre>
  ),
  table: ({ children }) => (
    <div className="table" tabIndex={0}>
      <table>{children}</table>
    </div>
  ),
  input: ({ checked }) => (
    <input
      type="checkbox"
      checked={checked ?? false}
      readOnly
      disabled
      aria-label={checked ? 'Done' : 'Open'}
    />
  ),
}

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <div className="block">
      <ReactMarkdown remarkPlugins={remarkPlugins} rehypePlugins={rehypePlugins} components={components}>
        {text}
      </ReactMarkdown>
    </div>
  )
})

interface MarkdownProps {
  text: string
  /** More of it is coming. */
  growing?: boolean
  /** The reader's own words, set more quietly. */
  own?: boolean
}

export function Markdown({ text, growing = false, own = false }: MarkdownProps) {
  const blocks = blocksOf(text)
  const last = blocks.length - 1
  return (
    <div className={`tale${own ? ' own' : ''}${growing ? ' growing' : ''}`} dir="auto">
      {blocks.map((block, index) => (
        // Blocks only ever grow at the end: their place is their identity.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <Block key={index} text={growing && index === last ? closed(block) : block} />
      ))}
    </div>
  )
}
