/**
 * Keeps every word of a message's tree: what Markdown would swallow stands as the text that it is.
 *
 * - HTML is text, so that `<the door opens>` is read. Only `<br>`, which models put into tables, breaks.
 * - A link or picture whose address leads nowhere (`[attack](2d6)`) is its own source.
 * - The items of an ordered list bear the numbers that were written: an initiative list counts down.
 * - Cells beyond a table's header row stand in columns of their own.
 * - `[^1]` is a raised number; its note is a paragraph like any other.
 * - Marks around nothing (`#`, `-`, `>`) are text.
 */
import type {
  Image,
  Link,
  List,
  Nodes,
  Parents,
  PhrasingContent,
  Root,
  RootContent,
  Table,
  Text,
} from 'mdast'
import { safeAddress } from './sanitizing'

const NOTE_MARK = /\[\^(\d{1,4})\]/

export function keepWords(tree: Root, source: string, { own }: { own: boolean }): void {
  keepIn(tree, source)
  if (own) keepFirstBlanks(tree, source)
  if (!saysSomething(tree) && source.trim() !== '')
    tree.children = [{ type: 'paragraph', children: [text(source.trim())] }]
}

function keepIn(parent: Parents, source: string): void {
  const children = parent.children.flatMap((child): Nodes[] => kept(child, source))
  parent.children = children as typeof parent.children
  if (parent.type === 'list') keepNumbers(parent, source)
  if (parent.type === 'table') keepCells(parent)
}

function kept(node: RootContent, source: string): Nodes[] {
  if ('children' in node) keepIn(node, source)
  switch (node.type) {
    case 'html':
      return [/^<br\s*\/?>$/i.test(node.value) ? { type: 'break' } : text(node.value)]
    case 'link':
      return keptLink(node, source)
    case 'image':
      return safeAddress(node.url) === null ? [text(keptImage(node, source))] : [node]
    case 'text':
      return keptNotes(node)
    default:
      return [node]
  }
}

function keptLink(node: Link, source: string): PhrasingContent[] {
  if (safeAddress(node.url) === null) {
    const from = node.children.at(-1)?.position?.end.offset
    const rest =
      from === undefined ? sourceOf(node, source).slice(1) : source.slice(from, node.position?.end.offset)
    return [text('['), ...node.children, text(rest)]
  }
  return node.children.length > 0 ? [node] : [{ ...node, children: [text(node.url)] }]
}

function keptImage(node: Image, source: string): string {
  // The bytes of a picture are no words.
  return node.url.startsWith('data:') ? `Picture: ${node.alt ?? ''}` : sourceOf(node, source)
}

function keptNotes(node: Text): PhrasingContent[] {
  if (!node.value.includes('[^')) return [node]
  return node.value.split(NOTE_MARK).map((part, index) => (index % 2 === 0 ? text(part) : raised(part)))
}

function raised(number: string): PhrasingContent {
  return { type: 'emphasis', data: { hName: 'sup' }, children: [text(number)] }
}

function keepNumbers(list: List, source: string): void {
  if (!list.ordered) return
  const numbers = list.children.map((item) => Number.parseInt(sourceOf(item, source), 10))
  const isCounting = numbers.every((each, index) => each === (numbers[0] ?? 0) + index)
  // Many write 1. before every item and mean 1., 2., 3.
  const isLazy = numbers.every((each) => each === numbers[0])
  if (isCounting || isLazy) return
  for (const [index, item] of list.children.entries())
    item.data = { ...item.data, hProperties: { value: String(numbers[index] ?? '') } }
}

function keepCells(table: Table): void {
  const width = Math.max(...table.children.map((row) => row.children.length))
  const align = table.align ?? []
  table.align = [...align, ...Array<null>(Math.max(0, width - align.length)).fill(null)]
}

function keepFirstBlanks(tree: Root, source: string): void {
  for (const child of tree.children) {
    const start = child.position?.start.offset
    if (child.type !== 'paragraph' || start === undefined) continue
    const line = source.slice(source.lastIndexOf('\n', start - 1) + 1, start)
    if (line !== '' && line.trim() === '') child.children.unshift(text(line))
  }
}

/** Whether a reader would see anything of it. */
function saysSomething(node: Nodes): boolean {
  if ('children' in node) return node.children.some(saysSomething)
  if ('value' in node) return node.value.trim() !== '' || (node.type === 'code' && Boolean(node.lang))
  return node.type === 'image' || node.type === 'imageReference' || node.type === 'thematicBreak'
}

function sourceOf(node: Nodes, source: string): string {
  return source.slice(node.position?.start.offset, node.position?.end.offset)
}

function text(value: string): Text {
  return { type: 'text', value }
}
