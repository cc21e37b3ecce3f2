import type { Nodes, Parents } from 'hast'
import type { ReactNode } from 'react'
import { components, type ElementProps } from './components'

/** A sanitized HTML tree as React elements. Attributes are those of `sanitizing.ts`, which React knows by the same names. */
export function drawn(tree: Parents): ReactNode[] {
  const children =
    'tagName' in tree && ROWS.has(tree.tagName) ? tree.children.filter(isElement) : tree.children
  return children.map(drawnNode)
}

/** Elements in which no text may stand, not even a line end. */
const ROWS = new Set(['table', 'thead', 'tbody', 'tr'])
const isElement = ({ type }: Nodes) => type === 'element'

function drawnNode(node: Nodes, index: number): ReactNode {
  if (node.type === 'text') return node.value
  if (node.type !== 'element') return null
  const Element = components[node.tagName] ?? (node.tagName as 'span')
  const { className, ...rest } = node.properties
  const names = Array.isArray(className) ? className.join(' ') : undefined
  const attributes = { ...rest, ...(names === undefined ? {} : { className: names }) } as ElementProps
  const isVoid = node.children.length === 0
  return (
    // A tree is drawn whole: places are identities.
    <Element key={index} {...attributes}>
      {isVoid ? undefined : drawn(node)}
    </Element>
  )
}
