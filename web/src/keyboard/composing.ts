/**
 * Keys that belong to an input method: Enter takes its suggestion, Escape leaves it, arrows walk in it.
 *
 * The page must not act on them. Instead of a question in every place that listens, one listener before
 * all others keeps such a press from the page; what the browser does with it is untouched.
 */

/** What browsers give as `keyCode` for a press that an input method has taken. */
const TAKEN = 229

/**
 * Whether an input method has taken the press. Safari ends the composition first and tells the press that
 * ended it afterwards, with `isComposing` false: only `keyCode`, deprecated and still there, says it.
 */
function isTakenByInputMethod(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === TAKEN
}

/** From now on no other listener hears presses that an input method has taken. Returns the way back. */
export function keepComposingFromPage(): () => void {
  const keep = (event: KeyboardEvent) => {
    if (isTakenByInputMethod(event)) event.stopImmediatePropagation()
  }
  addEventListener('keydown', keep, { capture: true })
  return () => removeEventListener('keydown', keep, { capture: true })
}
