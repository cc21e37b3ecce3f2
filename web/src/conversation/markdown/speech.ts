/**
 * Tells spoken words apart: what stands between quotation marks in a paragraph is wrapped in
 * `<span class="speech">`. Code is left alone. A quotation that is not closed runs to the end of its
 * paragraph, as it does while it grows and where a speech goes on in the next one.
 */
import type { Element, ElementContent, Root, Text } from 'hast'

const PARAGRAPHS = new Set(['p', 'li', 'td', 'th', 'dd', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6'])
const SILENT = new Set(['code', 'pre'])
const CLOSES: Record<string, string> = { '“': '”', '„': '“”', '«': '»', '»': '«', '「': '」', '『': '』' }

interface Run {
  text: Text
  from: number
}

export type Range = readonly [from: number, to: number]

/** Where the spoken words of a paragraph are, quotation marks included. */
export function speechIn(paragraph: string): Range[] {
  const ranges: Range[] = []
  let from = -1
  let closers = ''
  for (let i = 0; i < paragraph.length; i++) {
    const mark = paragraph[i] ?? ''
    if (from >= 0) {
      if (!closers.includes(mark)) continue
      ranges.push([from, i + 1])
      from = -1
    } else if (CLOSES[mark] !== undefined) {
      from = i
      closers = CLOSES[mark]
    } else if (mark === '"' && opensStraight(paragraph, i)) {
      from = i
      closers = '"'
    }
  }
  if (from >= 0) ranges.push([from, paragraph.length])
  return ranges
}

/** A straight mark opens after a space or a bracket and before a word; 5" is a measure. */
function opensStraight(text: string, at: number): boolean {
  const before = text[at - 1]
  const after = text[at + 1]
  return (before === undefined || /[\s([{—–\-*]/.test(before)) && (after === undefined || /\S/.test(after))
}

/** `tree`, in which spoken words are told apart. */
export function tellSpeech(tree: Root): Root {
  for (const child of tree.children) if (child.type === 'element') visit(child)
  return tree
}

function visit(element: Element): void {
  if (SILENT.has(element.tagName)) return
  if (PARAGRAPHS.has(element.tagName)) {
    const runs: Run[] = []
    gather(element, runs, 0)
    const ranges = speechIn(runs.map(({ text }) => text.value).join(''))
    if (ranges.length > 0) wrap(element, runs, ranges)
  }
  for (const child of element.children) {
    if (child.type === 'element' && !isOwnSpeech(child)) visit(child)
  }
}

const isOwnSpeech = (element: Element) => element.tagName === 'span'

/** The text runs of one paragraph, with the place of each in it; inner paragraphs are their own. */
function gather(element: Element, runs: Run[], from: number): number {
  let at = from
  for (const child of element.children) {
    if (child.type === 'text') {
      runs.push({ text: child, from: at })
      at += child.value.length
    } else if (child.type === 'element' && !SILENT.has(child.tagName) && !isBlock(child)) {
      at = gather(child, runs, at)
    }
  }
  return at
}

const isBlock = ({ tagName }: Element) => PARAGRAPHS.has(tagName) || tagName === 'ul' || tagName === 'ol'

function wrap(element: Element, runs: readonly Run[], ranges: readonly Range[]): void {
  const places = new Map(runs.map(({ text, from }) => [text, from]))
  element.children = element.children.flatMap((child): ElementContent[] => {
    if (child.type === 'text') {
      const from = places.get(child)
      return from === undefined ? [child] : pieces(child.value, from, ranges)
    }
    if (child.type === 'element' && !SILENT.has(child.tagName) && !isBlock(child)) wrap(child, runs, ranges)
    return [child]
  })
}

function pieces(value: string, from: number, ranges: readonly Range[]): ElementContent[] {
  const found: ElementContent[] = []
  let at = 0
  for (const [start, end] of ranges) {
    const a = Math.max(start - from, at)
    const b = Math.min(end - from, value.length)
    if (b <= a) continue
    if (a > at) found.push({ type: 'text', value: value.slice(at, a) })
    found.push(spoken(value.slice(a, b)))
    at = b
  }
  if (at < value.length) found.push({ type: 'text', value: value.slice(at) })
  return found
}

function spoken(value: string): Element {
  return {
    type: 'element',
    tagName: 'span',
    properties: { className: ['speech'] },
    children: [{ type: 'text', value }],
  }
}
