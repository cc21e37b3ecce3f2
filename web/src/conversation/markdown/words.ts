/**
 * A remark plugin that keeps every word: what Markdown takes for HTML stands as the text that it is, so
 * that `<the door opens>` is read and not swallowed. Only `<br>`, which models put into tables, breaks.
 */
import type { Nodes, Paragraph, PhrasingContent, Root } from 'mdast'

const FLOW = new Set(['root', 'blockquote', 'listItem', 'footnoteDefinition'])

export function remarkWords() {
  return (tree: Root) => visit(tree)
}

function visit(node: Nodes): void {
  if (!('children' in node)) return
  const children: Nodes[] = node.children
  for (const [index, child] of children.entries()) {
    if (child.type === 'html')
      children[index] = FLOW.has(node.type) ? paragraph(child.value) : word(child.value)
    else visit(child)
  }
}

function word(value: string): PhrasingContent {
  return /^<br\s*\/?>$/i.test(value) ? { type: 'break' } : { type: 'text', value }
}

function paragraph(value: string): Paragraph {
  return { type: 'paragraph', children: [word(value.trim())] }
}
