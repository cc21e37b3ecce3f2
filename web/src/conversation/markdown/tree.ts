/** One block of Markdown as a sanitized HTML tree. Pure, and total over what `blocksOf` cuts. */
import type { Element, ElementContent, Root as HtmlRoot } from 'hast'
import { sanitize } from 'hast-util-sanitize'
import type { Code, Nodes, Text } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmAutolinkLiteralFromMarkdown } from 'mdast-util-gfm-autolink-literal'
import { gfmStrikethroughFromMarkdown } from 'mdast-util-gfm-strikethrough'
import { gfmTableFromMarkdown } from 'mdast-util-gfm-table'
import { gfmTaskListItemFromMarkdown } from 'mdast-util-gfm-task-list-item'
import { type Handlers, toHast } from 'mdast-util-to-hast'
import { gfmAutolinkLiteral } from 'micromark-extension-gfm-autolink-literal'
import { gfmStrikethrough } from 'micromark-extension-gfm-strikethrough'
import { gfmTable } from 'micromark-extension-gfm-table'
import { gfmTaskListItem } from 'micromark-extension-gfm-task-list-item'
import { asTyped, ownSyntax } from './asTyped'
import { type Definitions, definitionNodes, referring } from './definitions'
import { emphasis } from './emphasis'
import { schema } from './sanitizing'
import { tellSpeech } from './speech'
import { keepWords } from './words'

export interface TreeOptions {
  /** The game master's own words: shown as they were typed. */
  own: boolean
  definitions: Definitions
}

/** Nodes inside each other. No text that is meant to be read comes near it. */
const MAX_DEPTH = 100

const syntax = [
  gfmAutolinkLiteral(),
  // One tilde is a tilde: (~$1.50) and (~$10).
  gfmStrikethrough({ singleTilde: false }),
  gfmTable(),
  gfmTaskListItem(),
  emphasis(),
  // HTML is text like any other, and may be emphasized: blocks of it would end the formatting around them.
  { disable: { null: ['htmlFlow'] } },
]
const compiling = [
  gfmAutolinkLiteralFromMarkdown(),
  gfmStrikethroughFromMarkdown(),
  gfmTableFromMarkdown(),
  gfmTaskListItemFromMarkdown(),
]
const asReply = asTyped({ own: false })
const asOwn = asTyped({ own: true })

const handlers: Handlers = {
  // Line ends and the blanks around them are shown wherever text stands.
  text: (_state, node: Text) => ({ type: 'text', value: node.value }),
  break: () => ({ type: 'text', value: '\n' }),
  code: (_state, node: Code) => {
    const info = [node.lang, node.meta].filter(Boolean).join(' ')
    const code = element('pre', [
      element('code', [{ type: 'text', value: node.value ? `${node.value}\n` : '' }]),
    ])
    return info === '' ? code : [element('p', [{ type: 'text', value: info }], { className: ['info'] }), code]
  },
}

/** The tree of a block; null where it is nested too deeply to be shown as anything but its text. */
export function treeOf(source: string, { own, definitions }: TreeOptions): HtmlRoot | null {
  const tree = fromMarkdown(source, {
    extensions: [...syntax, referring(definitions), ...(own ? [ownSyntax] : [])],
    mdastExtensions: [...compiling, own ? asOwn : asReply],
  })
  if (isDeep(tree)) return null
  keepWords(tree, source, { own })
  // Every item is set as paragraphs: the space between items is the page's matter.
  visit(tree, (node) => {
    if (node.type === 'list' || node.type === 'listItem') node.spread = true
  })
  tree.children.push(...definitionNodes(definitions))
  const html = sanitize(tellSpeech(toHast(tree, { handlers }) as HtmlRoot), schema) as HtmlRoot
  return withDirections(html)
}

/** Each paragraph, list and table at the top runs in the direction of its own first letter. */
function withDirections(tree: HtmlRoot): HtmlRoot {
  for (const child of tree.children) if (child.type === 'element') child.properties.dir = 'auto'
  return tree
}

function isDeep(tree: Nodes): boolean {
  let isDeep = false
  visit(tree, (_node, depth) => {
    isDeep ||= depth > MAX_DEPTH
  })
  return isDeep
}

/** Visits every node, without recursion: the tree may be deeper than the stack. */
function visit(tree: Nodes, see: (node: Nodes, depth: number) => void): void {
  const waiting: [Nodes, number][] = [[tree, 0]]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [node, depth] = next
    see(node, depth)
    if ('children' in node) for (const child of node.children) waiting.push([child, depth + 1])
  }
}

function element(
  tagName: string,
  children: ElementContent[],
  properties: Element['properties'] = {},
): Element {
  return { type: 'element', tagName, properties, children }
}
