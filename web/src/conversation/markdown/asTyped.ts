/**
 * What Markdown leaves out and a reader still wants: blanks at the beginning of a line, and backslashes.
 * A backslash is shown in the game master's own words always, and in a reply before whatever is no mark of
 * Markdown (`\(x\)`). What follows it is escaped in both.
 */

import type { Nodes, Text } from 'mdast'
import type { CompileContext, Extension, Token } from 'mdast-util-from-markdown'
import type { Extension as Syntax } from 'micromark-util-types'

const MARKS = new Set('*_`#>-+.~|!<&$\\')
const LINES = new Set<Nodes['type']>(['paragraph', 'heading', 'emphasis', 'strong', 'delete', 'link'])

/** Own words are never code because they are indented, and a backslash at a line's end is a backslash. */
export const ownSyntax: Syntax = { disable: { null: ['codeIndented', 'hardBreakEscape'] } }

export function asTyped({ own }: { own: boolean }): Extension {
  return {
    exit: {
      characterEscapeValue(token) {
        const text = this.stack.pop() as Text
        const value = this.sliceSerialize(token)
        // Addresses and other words that are not set as text are gathered in a fragment.
        const isShown = this.stack.at(-1)?.type !== 'fragment' && (own || !MARKS.has(value))
        text.value += isShown ? `\\${value}` : value
        end(text, token)
      },
      linePrefix(token) {
        const parent = this.stack.at(-1)
        if (parent === undefined || !LINES.has(parent.type as Nodes['type'])) return
        append.call(this, token)
      },
    },
  }
}

function append(this: CompileContext, token: Token): void {
  this.config.enter.data?.call(this, token)
  this.config.exit.data?.call(this, token)
}

function end(text: Text, token: Token): void {
  if (text.position === undefined) return
  const { line, column, offset } = token.end
  text.position.end = { line, column, offset }
}
