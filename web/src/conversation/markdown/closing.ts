/**
 * The end of a growing text, with emphasis and code closed that is still open: without it, half a word's
 * asterisks would stand there until the other half came, and the line would be set twice.
 */
import { withoutProducts } from './emphasis'

export function closed(block: string): string {
  if (/^ {0,3}(`{3,}|~{3,})/m.test(block)) return block
  // Marks at the very end may be the beginning of something: not shown until it is clear of what.
  const text = block.replace(/(?<![*_`\\])[*_`]{1,3}$/, (marks) =>
    opens(block.slice(0, -marks.length), marks) ? '' : marks,
  )
  const code = (text.match(/`/g) ?? []).length % 2 === 1
  if (code) return `${text}\``
  const plain = withoutProducts(text)
    .replace(/`[^`]*`/g, '')
    .replace(/\\[*_]/g, '')
    .replace(/^\s*[*+-]\s/gm, '')
  const stack: string[] = []
  for (const [mark] of plain.matchAll(/\*\*|\*/g)) {
    if (stack.at(-1) === mark) stack.pop()
    else stack.push(mark)
  }
  return text.trimEnd() + stack.reverse().join('')
}

function opens(before: string, marks: string): boolean {
  const count = before.split(marks).length - 1
  return count % 2 === 0
}
