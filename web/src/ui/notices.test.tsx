import { act, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NoticeShelf } from './NoticeShelf'
import { dismiss, said, say, takeBackLast } from './notices'

const texts = () => screen.queryAllByRole('listitem').map((each) => each.textContent)

describe('what was just done', () => {
  beforeEach(() => void vi.useFakeTimers({ shouldAdvanceTime: true }))
  afterEach(() => {
    vi.useRealTimers()
    for (const { id } of said.read()) dismiss(id)
  })

  it('is told, stays long enough to read and act, and goes', () => {
    render(<NoticeShelf />)
    act(() => say('Archived.', async () => {}))
    expect(screen.getByRole('status').textContent).toBe('Archived. It can be undone.')
    act(() => void vi.advanceTimersByTime(14_000))
    expect(texts()).toEqual(['Archived.Undo'])
    act(() => void vi.advanceTimersByTime(2_000))
    expect(texts()).toEqual([])
  })

  it('waits while one is near it', async () => {
    render(<NoticeShelf />)
    act(() => say('Archived.', async () => {}))
    act(() => screen.getByRole('button', { name: 'Undo' }).focus())
    act(() => void vi.advanceTimersByTime(60_000))
    expect(texts()).toEqual(['Archived.Undo'])
    act(() => screen.getByRole('button', { name: 'Undo' }).blur())
    act(() => void vi.advanceTimersByTime(16_000))
    expect(texts()).toEqual([])
  })

  it('is undone by its button, and says why when it could not be', async () => {
    const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime })
    const undo = vi.fn().mockRejectedValueOnce(new Error('The server is away.')).mockResolvedValue(null)
    render(<NoticeShelf />)
    act(() => say('Deleted.', undo))
    await user.click(screen.getByRole('button', { name: 'Undo' }))
    expect(texts()).toEqual(['Not undone. The server is away.Retry'])
    await user.click(screen.getByRole('button', { name: 'Retry' }))
    expect(undo).toHaveBeenCalledTimes(2)
    expect(texts()).toEqual([])
  })

  it('is at most three things, the last of which the keyboard takes back', () => {
    const undo = vi.fn(async () => {})
    render(<NoticeShelf />)
    act(() => {
      for (const words of ['One.', 'Two.', 'Three.']) say(words)
      say('Four.', undo)
    })
    expect(texts()).toEqual(['Two.', 'Three.', 'Four.Undo'])
    act(() => expect(takeBackLast()).toBe(true))
    expect(undo).toHaveBeenCalledOnce()
  })
})
