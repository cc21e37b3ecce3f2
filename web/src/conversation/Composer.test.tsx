import { fireEvent, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import type { ComponentProps } from 'react'
import { describe, expect, it, vi } from 'vitest'
import { keepDraft, keptDraft } from '../outbox/drafts'
import { Composer } from './Composer'

function composer(more: Partial<ComponentProps<typeof Composer>> = {}) {
  const props = {
    conversationId: 'c',
    account: 'ada' as string | null,
    isLoading: false,
    isAnswering: false,
    editing: null,
    onSend: vi.fn(() => true),
    onStop: vi.fn(),
    onLeaveEditing: vi.fn(),
    ...more,
  }
  const { unmount } = render(<Composer {...props} />)
  return {
    ...props,
    unmount,
    area: screen.getByRole('textbox') as HTMLTextAreaElement,
    user: userEvent.setup(),
  }
}

describe('the composer', () => {
  it('sends with Enter and begins a new line with Shift and Enter', async () => {
    const { user, area, onSend } = composer()
    await user.type(area, 'one{Shift>}{Enter}{/Shift}two{Enter}')
    expect(onSend).toHaveBeenCalledExactlyOnceWith('one\ntwo')
    expect(area.value).toBe('')
  })

  it('takes nothing while the conversation loads', async () => {
    const { area, user, onSend } = composer({ isLoading: true })
    expect(area.disabled).toBe(true)
    await user.type(area, 'too early{Enter}')
    expect(onSend).not.toHaveBeenCalled()
  })

  it('sends nothing that is empty', async () => {
    const { area, user, onSend } = composer()
    await user.type(area, '  {Enter}')
    expect(onSend).not.toHaveBeenCalled()
  })

  it('keeps what is typed and not sent', async () => {
    const first = composer()
    await first.user.type(first.area, 'half a thou')
    first.unmount()
    expect(composer().area.value).toBe('half a thou')
  })

  it('keeps the draft of what is sent: the outbox takes it out', async () => {
    const first = composer()
    await first.user.type(first.area, 'a whole thought{Enter}')
    expect(first.area.value).toBe('')
    expect(keptDraft('ada', 'c')).toBe('a whole thought')
    first.unmount()
  })

  it('shows the draft of its own account only', async () => {
    keepDraft('ada', 'c', "Ada's secret")
    const brins = composer({ account: 'brin' })
    expect(brins.area.value).toBe('')
    brins.unmount()
    const unknown = composer({ account: null })
    expect([unknown.area.value, unknown.area.disabled]).toEqual(['', true])
    unknown.unmount()
    const loading = composer({ isLoading: true })
    expect(loading.area.value).toBe('')
    loading.unmount()
    expect(composer().area.value).toBe("Ada's secret")
  })

  it('finds the draft that an earlier release kept', () => {
    localStorage.setItem('talekeeper.draft.c', 'typed before the update')
    expect(composer().area.value).toBe('typed before the update')
    expect(localStorage.getItem('talekeeper.draft.c')).toBe(null)
  })

  it('sends what is typed as it is typed, but for blank lines at its end', async () => {
    for (const [typed, wanted] of [
      ['  a list:\n    indented', '  a list:\n    indented'],
      ['\n\nafter two lines', '\n\nafter two lines'],
      ['trailing blank ', 'trailing blank '],
      ['\u3000全角', '\u3000全角'],
      ['one\n\n  \n', 'one'],
      ['one  \n', 'one  '],
    ] as const) {
      const { area, onSend, user, unmount } = composer()
      fireEvent.change(area, { target: { value: typed } })
      await user.type(area, '{Enter}')
      expect(onSend).toHaveBeenCalledExactlyOnceWith(wanted)
      unmount()
      localStorage.clear()
    }
  })

  it('makes line ends of what Word and PDFs end lines with, without moving the caret', async () => {
    const { area, user } = composer()
    fireEvent.change(area, { target: { value: 'one\vtwo\ffive\u2028six\u2029seven\u0085eight' } })
    expect(area.value).toBe('one\ntwo\nfive\nsix\nseven\neight')
    area.setSelectionRange(3, 3)
    await user.paste('\v!')
    expect(area.value).toBe('one\n!\ntwo\nfive\nsix\nseven\neight')
    expect(area.selectionStart).toBe(5)
  })

  it('names what cannot be kept, sends nothing of it, and removes it by one click', async () => {
    const { area, user, onSend } = composer()
    fireEvent.change(area, { target: { value: 'The dragon\u0007 wakes' } })
    expect(screen.getByRole('alert').textContent).toContain(
      '1 character that cannot be kept: U+0007 (bell), after “The dragon”.',
    )
    await user.type(area, '{Enter}')
    expect(onSend).not.toHaveBeenCalled()
    expect((screen.getByRole('button', { name: 'Send' }) as HTMLButtonElement).disabled).toBe(true)
    await user.click(screen.getByRole('button', { name: 'Remove it' }))
    expect(screen.queryByRole('alert')).toBe(null)
    expect(document.activeElement).toBe(area)
    expect(keptDraft('ada', 'c')).toBe('The dragon wakes')
    await user.type(area, '{Enter}')
    expect(onSend).toHaveBeenCalledExactlyOnceWith('The dragon wakes')
  })

  it('keeps what was not taken', async () => {
    const { area, user } = composer({ onSend: vi.fn(() => false) })
    await user.type(area, 'one word too many{Enter}')
    expect(area.value).toBe('one word too many')
  })

  it('sends an edit with Control and Enter, too', async () => {
    const editing = { id: 'm', parentId: null, content: 'said before' }
    const { area, user, onSend } = composer({ editing })
    await user.type(area, '{Control>}{Enter}{/Control}')
    expect(onSend).toHaveBeenCalledExactlyOnceWith('said before')
  })

  it('begins with the message that is edited and leaves the draft alone', async () => {
    keepDraft('ada', 'c', 'a draft')
    const { area, user } = composer({ editing: { id: 'm', parentId: null, content: 'said before' } })
    expect(area.value).toBe('said before')
    await user.type(area, '!')
    expect(keptDraft('ada', 'c')).toBe('a draft')
  })

  it('offers to stop while a reply is written', async () => {
    const { user, onStop } = composer({ isAnswering: true })
    await user.click(screen.getByRole('button', { name: /Stop/ }))
    expect(onStop).toHaveBeenCalledOnce()
  })
})
