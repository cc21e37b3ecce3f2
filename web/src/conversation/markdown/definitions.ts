/**
 * Link definitions (`[label]: https://…`). To Markdown such a line is no text; here it always is, since
 * `[Goblin]: 17` has the same form and would not be shown. A definition with an address that a link may
 * lead to works nonetheless: `[words][label]` anywhere in the text is a link.
 */
import type { Definition } from 'mdast'
import { normalizeIdentifier } from 'micromark-util-normalize-identifier'
import type { Construct, Extension } from 'micromark-util-types'

/** Titles and addresses by normalized label. */
export type Definitions = ReadonlyMap<string, { readonly url: string; readonly title: string | null }>

export const NO_DEFINITIONS: Definitions = new Map()

const DEFINITION =
  /^ {0,3}\[([^\]\\\n]{1,200})\]:[ \t]*<?((?:https?:\/\/|mailto:)[^\s<>]+)>?(?:[ \t]+(?:"([^"\n]*)"|'([^'\n]*)'|\(([^)\n]*)\)))?[ \t]*$/gim

/** The definitions of a text; the first of a label counts. `before` itself where nothing differs from it. */
export function definitionsIn(text: string, before: Definitions = NO_DEFINITIONS): Definitions {
  if (!text.includes(']:')) return before.size === 0 ? before : NO_DEFINITIONS
  const found = new Map<string, { url: string; title: string | null }>()
  for (const [, label = '', url = '', ...titles] of text.matchAll(DEFINITION)) {
    const identifier = normalizeIdentifier(label)
    if (!found.has(identifier))
      found.set(identifier, { url, title: titles.find((each) => each !== undefined) ?? null })
  }
  return isSame(found, before) ? before : found
}

function isSame(some: Definitions, others: Definitions): boolean {
  if (some.size !== others.size) return false
  for (const [label, { url, title }] of some) {
    const other = others.get(label)
    if (other?.url !== url || other.title !== title) return false
  }
  return true
}

/** Makes the parser take every definition for text, and know the labels of `definitions`. */
export function referring(definitions: Definitions): Extension {
  const labels = [...definitions.keys()]
  const knowLabels: Construct = {
    name: 'knowLabels',
    // It consumes nothing: it stands before the construct that looks the labels up.
    tokenize(_effects, _ok, nok) {
      if (this.parser.defined.length === 0) this.parser.defined.push(...labels)
      return nok
    },
  }
  const brackets = labels.length === 0 ? {} : { text: { [']'.charCodeAt(0)]: knowLabels } }
  return { disable: { null: ['definition'] }, ...brackets }
}

/** The nodes that references lead to. */
export function definitionNodes(definitions: Definitions): Definition[] {
  return [...definitions].map(([identifier, { url, title }]) => ({
    type: 'definition',
    identifier,
    url,
    title,
  }))
}
