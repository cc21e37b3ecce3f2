/**
 * Characters that come with what is pasted, dropped or dictated, and that the server does not keep.
 *
 * Word, PDF readers and terminals end lines with characters that a person cannot see. Those become line
 * ends, or blanks where a field has one line. What remains means nothing as text; it is never dropped in
 * silence but named, so that a person can remove it (`Unkeepable.tsx`).
 */

/** CR LF, CR, line tabulation, form feed, next line, line and paragraph separator. */
const LINE_ENDS = /\r\n|[\r\v\f\u0085\u2028\u2029]/g

/** What `api/bodies.py` refuses in a text: controls but tab and line feed, and halves of a surrogate pair. */
const NOT_IN_TEXT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that are looked for
  /[\0-\x08\v\f\x0e-\x1f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** What it refuses in a title, which has one line: any control as well. */
const NOT_IN_TITLE = new RegExp(`${NOT_IN_TEXT.source}|[\t\n\r\x7f-\x9f\u2028\u2029]`, 'g')

export type Kind = 'text' | 'title'

const REFUSED: Record<Kind, RegExp> = { text: NOT_IN_TEXT, title: NOT_IN_TITLE }

export function withLineEnds(text: string): string {
  return text.replace(LINE_ENDS, '\n')
}

export function inOneLine(text: string): string {
  return withLineEnds(text).replace(/[\n\t]/g, ' ')
}

/** For what is only looked for: blanks in place of everything that cannot be kept. */
export function searchable(text: string): string {
  return inOneLine(text).replace(NOT_IN_TEXT, ' ')
}

export function withoutUnkeepable(text: string, kind: Kind = 'text'): string {
  return text.replace(REFUSED[kind], '')
}

/**
 * A message as it is sent: as it was typed, but for the blank lines at its end. '' where nothing but
 * blanks was typed.
 */
export function sendable(text: string): string {
  const words = text.trimEnd().length
  if (words === 0) return ''
  const end = text.indexOf('\n', words)
  return end < 0 ? text : text.slice(0, end)
}

const NAMES =
  'null,start of heading,start of text,end of text,end of transmission,enquiry,acknowledge,bell,backspace,tab,line feed,line tabulation,form feed,carriage return,shift out,shift in,data link escape,device control one,device control two,device control three,device control four,negative acknowledge,synchronous idle,end of transmission block,cancel,end of medium,substitute,escape,file separator,group separator,record separator,unit separator'.split(
    ',',
  )

function named(character: string): string {
  const code = character.charCodeAt(0)
  const name =
    NAMES[code] ?? (code === 0x7f ? 'delete' : code < 0xa0 ? 'control character' : 'half of a character')
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')} (${name})`
}

/** Characters before the first one that are shown to find it by. */
const SHOWN = 20
const MOST_NAMED = 3

/** What in `text` cannot be kept, and where, in words; null where all of it can. */
export function unkeepableIn(text: string, kind: Kind = 'text'): string | null {
  const found = [...text.matchAll(REFUSED[kind])]
  const [first] = found
  if (first === undefined) return null
  const names = [...new Set(found.map(([character]) => named(character)))]
  const listed = names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ' and others' : '')
  const before = [...withoutUnkeepable(text.slice(0, first.index), kind).replace(/\s+/g, ' ').trimStart()]
  const isCut = before.length > SHOWN
  const end = before.slice(-SHOWN).join('').trimEnd()
  const shown = isCut ? `…${end.replace(/^\S*\s+/, '')}` : end
  const place = shown === '' ? 'at the beginning' : `after “${shown}”`
  return found.length === 1
    ? `1 character that cannot be kept: ${listed}, ${place}.`
    : `${found.length} characters that cannot be kept: ${listed}, the first ${place}.`
}
