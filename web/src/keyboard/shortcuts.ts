/**
 * Every key that does something, once: what is pressed is looked up here, and the sheet that one opens
 * with `?` is drawn from here, so the two cannot differ.
 *
 * `when` says where a key counts. `writing`: in the composer. `empty`: in it, with nothing typed. `resting`: where no text is being written,
 * which an empty composer is; lists, menus and dialogs keep their own keys. `outside`: in no field at all.
 * `anywhere`: wherever one is.
 */

export interface Shortcut {
  keys: string
  does: string
  group: 'Writing' | 'Replies and branches' | 'Getting about'
  when: 'writing' | 'empty' | 'resting' | 'outside' | 'anywhere'
}

export const SHORTCUTS = {
  send: { keys: 'Enter', does: 'Send', group: 'Writing', when: 'writing' },
  line: { keys: 'Shift+Enter', does: 'Begin a new line', group: 'Writing', when: 'writing' },
  edit: {
    keys: 'ArrowUp',
    does: 'Say otherwise what you said last, with nothing typed',
    group: 'Writing',
    when: 'empty',
  },
  regenerate: {
    keys: 'Ctrl+Enter',
    does: 'Another reply; while editing, send the edit',
    group: 'Replies and branches',
    when: 'anywhere',
  },
  continue: {
    keys: 'Alt+Enter',
    does: 'Let the last reply go on',
    group: 'Replies and branches',
    when: 'anywhere',
  },
  before: {
    keys: 'ArrowLeft',
    does: 'The branch before, of the last message, with nothing typed',
    group: 'Replies and branches',
    when: 'resting',
  },
  after: {
    keys: 'ArrowRight',
    does: 'The branch after',
    group: 'Replies and branches',
    when: 'resting',
  },
  panel: {
    keys: 'Alt+M',
    does: 'Open or close the map of branches and the bookmarks',
    group: 'Replies and branches',
    when: 'anywhere',
  },
  leave: {
    keys: 'Escape',
    does: 'Close what stands on top, leave editing, stop the reply: one at a time',
    group: 'Getting about',
    when: 'anywhere',
  },
  switcher: {
    keys: 'Ctrl+K',
    does: 'Go to a conversation, or find what was said',
    group: 'Getting about',
    when: 'anywhere',
  },
  undo: {
    keys: 'Ctrl+Z',
    does: 'Undo what was just put away, while its note is there',
    group: 'Getting about',
    when: 'resting',
  },
  help: { keys: '?', does: 'This sheet', group: 'Getting about', when: 'outside' },
} as const satisfies Record<string, Shortcut>

export type ShortcutName = keyof typeof SHORTCUTS

/** What is pressed, as the table writes it. Command is Control on a Mac. */
export function pressed(
  event: Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>,
): string {
  // With Alt a letter key writes another sign on many layouts; its place names it.
  const letter = event.altKey && /^Key[A-Z]$/.test(event.code) ? event.code.slice(3) : event.key
  const key = letter.length === 1 ? letter.toUpperCase() : letter
  // The shift that a sign needs belongs to the sign.
  const isSign = key.length === 1 && !/[A-Z0-9]/.test(key)
  return [
    (event.ctrlKey || event.metaKey) && 'Ctrl',
    event.altKey && 'Alt',
    event.shiftKey && !isSign && 'Shift',
    key,
  ]
    .filter(Boolean)
    .join('+')
}

export function isShortcut(event: Parameters<typeof pressed>[0], name: ShortcutName): boolean {
  return pressed(event) === SHORTCUTS[name].keys
}

export type Place = 'composer' | 'empty composer' | 'field' | 'widget' | 'page'

const WIDGETS =
  '[role="menu"], [role="listbox"], [role="tree"], [role="tablist"], [role="radiogroup"], fieldset, pre, .table'

/** Where the keyboard is; null under a dialog, which keeps all keys to itself. */
function placeOf(target: EventTarget | null): Place | null {
  if (!(target instanceof Element)) return 'page'
  if (target.closest('[role="dialog"], [role="alertdialog"], [role="menu"]')) return null
  if (target instanceof HTMLTextAreaElement && target.dataset.composer !== undefined) {
    return target.value === '' ? 'empty composer' : 'composer'
  }
  if (
    target.closest('input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable="true"]')
  )
    return 'field'
  return target.closest(WIDGETS) ? 'widget' : 'page'
}

const COUNTS: Record<Shortcut['when'], readonly Place[]> = {
  writing: ['composer', 'empty composer'],
  empty: ['empty composer'],
  resting: ['empty composer', 'page'],
  outside: ['page', 'widget'],
  anywhere: ['composer', 'empty composer', 'field', 'widget', 'page'],
}

/** The shortcut that a key press is, where it was pressed. */
export function shortcutOf(event: KeyboardEvent): ShortcutName | null {
  const place = placeOf(event.target)
  if (place === null || event.defaultPrevented) return null
  const keys = pressed(event)
  for (const [name, shortcut] of Object.entries(SHORTCUTS)) {
    if (shortcut.keys === keys && COUNTS[shortcut.when].includes(place)) return name as ShortcutName
  }
  return null
}

const SIGNS: Record<string, string> = {
  ArrowUp: '↑',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
}

/** The keys as they are drawn on a keyboard, one after the other. */
export function keycaps(keys: string): string[] {
  return keys.split('+').map((key) => SIGNS[key] ?? key)
}
