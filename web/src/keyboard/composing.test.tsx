import { fireEvent, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Modal } from '../ui/Modal'
import { keepComposingFromPage } from './composing'
import { useShortcuts } from './useShortcuts'

/** As Chromium and Firefox tell the press that ends a composition, and as Safari does. */
const TOLD = [
  { isComposing: true, keyCode: 229 },
  { isComposing: true, keyCode: 13 },
  { isComposing: false, keyCode: 229 },
]

function Page({ onKey, onLeave }: { onKey: () => void; onLeave: () => void }) {
  useShortcuts({ leave: onLeave, regenerate: onLeave })
  return <textarea aria-label="field" data-composer="" onKeyDown={onKey} />
}

describe('a key that an input method has taken', () => {
  let leave = () => {}
  beforeEach(() => {
    leave = keepComposingFromPage()
  })
  afterEach(() => leave())

  it.each(TOLD)('reaches no listener of the page: %o', (told) => {
    const onKey = vi.fn()
    const onLeave = vi.fn()
    render(<Page onKey={onKey} onLeave={onLeave} />)
    for (const key of ['Enter', 'Escape', 'ArrowUp', 'Process']) {
      const isLeftToBrowser = fireEvent.keyDown(screen.getByRole('textbox'), { key, ...told })
      expect(isLeftToBrowser).toBe(true)
    }
    fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Enter', ctrlKey: true, ...told })
    expect(onKey).not.toHaveBeenCalled()
    expect(onLeave).not.toHaveBeenCalled()
  })

  it.each(TOLD)('closes no dialog: %o', (told) => {
    const onClose = vi.fn()
    render(
      <Modal title="Find" onClose={onClose}>
        <input />
      </Modal>,
    )
    fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Escape', ...told })
    expect(onClose).not.toHaveBeenCalled()
    fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Escape', keyCode: 27 })
    expect(onClose).toHaveBeenCalledOnce()
  })

  it('is no other press', () => {
    const onKey = vi.fn()
    render(<Page onKey={onKey} onLeave={() => {}} />)
    fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Enter', keyCode: 13 })
    expect(onKey).toHaveBeenCalledOnce()
  })
})
