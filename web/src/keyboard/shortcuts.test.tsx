import { render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { ShortcutSheet } from './ShortcutSheet'
import { keycaps, pressed, SHORTCUTS, type ShortcutName, shortcutOf } from './shortcuts'
import { type Deeds, useShortcuts } from './useShortcuts'

function press(target: Element, init: KeyboardEventInit & { key: string }): ShortcutName | null {
  let found: ShortcutName | null = null
  const note = (event: Event) => {
    found = shortcutOf(event as KeyboardEvent)
  }
  addEventListener('keydown', note)
  target.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...init }))
  removeEventListener('keydown', note)
  return found
}

const names = Object.keys(SHORTCUTS) as ShortcutName[]

function page(deeds: Deeds = {}) {
  function Page() {
    useShortcuts(deeds)
    return (
      <>
        <textarea data-composer="" aria-label="composer" />
        <input aria-label="field" />
        <div role="menu" aria-label="menu">
          <button type="button">entry</button>
        </div>
        <div role="tree" aria-label="tree" />
        <main aria-label="page">words</main>
      </>
    )
  }
  render(<Page />)
  return {
    composer: screen.getByLabelText('composer') as HTMLTextAreaElement,
    field: screen.getByLabelText('field'),
    entry: screen.getByText('entry'),
    tree: screen.getByLabelText('tree'),
    words: screen.getByLabelText('page'),
  }
}

describe('the table of shortcuts', () => {
  it('gives every key combination to one deed', () => {
    const keys = names.map((name) => SHORTCUTS[name].keys)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('reads a key press as it is written, on a Mac and with signs that need Shift', () => {
    const plain = { code: '', ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }
    expect(pressed({ ...plain, key: 'k', metaKey: true })).toBe('Ctrl+K')
    expect(pressed({ ...plain, key: '?', shiftKey: true })).toBe('?')
    expect(pressed({ ...plain, key: 'Enter', shiftKey: true })).toBe('Shift+Enter')
    expect(pressed({ ...plain, key: 'µ', code: 'KeyM', altKey: true })).toBe('Alt+M')
  })

  it('leaves the keys of words alone while one writes', () => {
    const { composer, field } = page()
    expect(press(composer, { key: 'ArrowLeft' })).toBe('before')
    expect(press(composer, { key: 'ArrowUp' })).toBe('edit')
    composer.value = 'half a thought'
    expect(press(composer, { key: 'ArrowLeft' })).toBe(null)
    expect(press(composer, { key: 'ArrowUp' })).toBe(null)
    expect(press(composer, { key: '?' })).toBe(null)
    expect(press(composer, { key: 'z', ctrlKey: true })).toBe(null)
    expect(press(composer, { key: 'Enter', ctrlKey: true })).toBe('regenerate')
    expect(press(field, { key: 'ArrowLeft' })).toBe(null)
    expect(press(field, { key: '?' })).toBe(null)
    expect(press(field, { key: 'k', ctrlKey: true })).toBe('switcher')
  })

  it('leaves menus and trees their own keys', () => {
    const { entry, tree, words } = page()
    expect(press(entry, { key: 'Escape' })).toBe(null)
    expect(press(tree, { key: 'ArrowLeft' })).toBe(null)
    expect(press(words, { key: 'ArrowLeft' })).toBe('before')
    expect(press(words, { key: 'ArrowUp' })).toBe(null)
  })

  it('does what it is given to do, once, and passes on what was not for it', () => {
    const help = vi.fn()
    const { words } = page({ help, leave: () => false })
    const mark = new KeyboardEvent('keydown', { key: '?', bubbles: true, cancelable: true })
    words.dispatchEvent(mark)
    expect(help).toHaveBeenCalledOnce()
    expect(mark.defaultPrevented).toBe(true)
    const leaving = new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true })
    words.dispatchEvent(leaving)
    expect(leaving.defaultPrevented).toBe(false)
  })

  it('is what the sheet shows, every line of it', () => {
    render(<ShortcutSheet onClose={() => {}} />)
    const lines = screen.getAllByRole('term').map((each) => each.textContent)
    expect(lines).toEqual(names.map((name) => keycaps(SHORTCUTS[name].keys).join('')))
    for (const name of names) expect(screen.getByText(SHORTCUTS[name].does)).toBeTruthy()
  })
})
