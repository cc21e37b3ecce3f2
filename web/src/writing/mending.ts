/** Mends what comes into a field, however it comes, without moving the caret. */
import type { ClipboardEvent } from 'react'

type Field = HTMLInputElement | HTMLTextAreaElement

/** The field's text, mended; the field shows it at once. */
export function mended(field: Field, mend: (text: string) => string): string {
  const text = mend(field.value)
  if (text !== field.value) {
    const { selectionStart, selectionEnd } = field
    field.value = text
    field.setSelectionRange(selectionStart, selectionEnd)
  }
  return text
}

/**
 * Paste mended text, so that undoing takes back the paste and nothing else: a value that is set by a
 * script has no history. What a browser does not let be inserted so is mended by `mended` afterwards.
 */
export function pasteMended(event: ClipboardEvent<Field>, mend: (text: string) => string): void {
  const text = event.clipboardData.getData('text/plain')
  const better = mend(text)
  if (better !== text && document.execCommand?.('insertText', false, better)) event.preventDefault()
}
