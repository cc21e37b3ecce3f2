import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import type { ComponentProps } from 'react'
import { describe, expect, it, vi } from 'vitest'
import { Composer } from './Composer'

function composer(more: Partial<ComponentProps<typeof Composer>> = {}) {
  const props = {
    conversationId: 'c',
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
    const second = composer()
    expect(second.area.value).toBe('half a thou')
    await second.user.type(second.area, 'ght{Enter}')
    second.unmount()
    expect(composer().area.value).toBe('')
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
    localStorage.setItem('talekeeper.draft.c', 'a draft')
    const { area, user } = composer({ editing: { id: 'm', parentId: null, content: 'said before' } })
    expect(area.value).toBe('said before')
    await user.type(area, '!')
    expect(localStorage.getItem('talekeeper.draft.c')).toBe('a draft')
  })

  it('offers to stop while a reply is written', async () => {
    const { user, onStop } = composer({ isAnswering: true })
    await user.click(screen.getByRole('button', { name: /Stop/ }))
    expect(onStop).toHaveBeenCalledOnce()
  })
})
