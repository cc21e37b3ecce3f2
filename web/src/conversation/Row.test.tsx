import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it, vi } from 'vitest'
import type { Message } from '../api/types'
import { Row } from './Row'
import type { ConversationRuntime } from './runtime'
import { TalkContext } from './TalkContext'
import type { Line } from './view'

const reply: Message = {
  id: 'r',
  conversation_id: 'c',
  seq: 2,
  parent_id: 'q',
  role: 'assistant',
  content: 'The mill',
  status: 'complete',
  revision: 1,
  created_at: 1,
  updated_at: 1,
  generation_id: 'g',
  provider: 'local',
  model: null,
  input_tokens: null,
  output_tokens: null,
  finish_reason: null,
  error: null,
  bookmark: null,
  deleted_at: null,
}

function row(message: Partial<Message>, siblings: string[] = ['r'], isAnswering = false) {
  const reading = { switchTo: vi.fn() }
  const runtime = { regenerate: vi.fn(), continueReply: vi.fn(), reading }
  const whole = { ...reply, ...message }
  const line: Line = { kind: 'said', id: 'r', message: whole, text: whole.content, siblings }
  const talk = {
    runtime: runtime as unknown as ConversationRuntime,
    edit: vi.fn(),
    isAnswering,
    noted: null,
    noteBookmark: vi.fn(),
  }
  render(
    <TalkContext.Provider value={talk}>
      <Row line={line} isLast isUnanswered={whole.role === 'user' && whole.generation_id === null} />
    </TalkContext.Provider>,
  )
  return { ...runtime, edit: talk.edit, user: userEvent.setup() }
}

const names = () => screen.getAllByRole('button').map((button) => button.textContent || button.ariaLabel)

describe('a reply', () => {
  it('that was interrupted says so under its text and goes on or begins anew', async () => {
    const { user, continueReply, regenerate } = row({ status: 'interrupted' })
    expect(screen.getByText('The mill')).toBeTruthy()
    expect(screen.getByText('[Stream interrupted]')).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Continue' }))
    await user.click(screen.getByRole('button', { name: 'Regenerate' }))
    expect(continueReply).toHaveBeenCalledWith('r')
    expect(regenerate).toHaveBeenCalledWith('r')
  })

  it('that failed tells why, and offers to continue only where there is text', () => {
    const error = { code: 'provider_busy', message: 'Too many requests.', retryable: true, retry_after: 7 }
    row({ status: 'failed', content: '', error })
    expect(screen.getByText(/Too many requests. It asks to wait 7 seconds./)).toBeTruthy()
    expect(names()).toEqual(['Try again', 'More about this message'])
  })

  it.each([
    ['length', 'Cut at the length limit.', ['Continue', 'Regenerate']],
    ['filtered', 'Stopped by the provider’s filter.', ['Regenerate']],
    ['refused', 'The model refused.', ['Regenerate']],
  ] as const)('that the model ended for %s says so, and offers what helps', (reason, words, offered) => {
    row({ finish_reason: reason })
    expect(screen.getByText(words)).toBeTruthy()
    expect(names()).toEqual([...offered, 'Copy', 'More about this message'])
  })

  it.each([null, 'stop'] as const)('that ended for %s says nothing of it', (reason) => {
    row({ finish_reason: reason })
    expect(names()).toEqual(['Regenerate', 'Copy', 'Continue this reply', 'More about this message'])
  })

  it('that is waited for says so', () => {
    row({ status: 'pending', content: '' })
    expect(screen.getByText('Waiting for the first words')).toBeTruthy()
  })

  it('with siblings leads to them', async () => {
    const { user, reading } = row({}, ['r0', 'r', 'r2'])
    expect(screen.getByText('2/3')).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'The branch after' }))
    expect(reading.switchTo).toHaveBeenCalledWith('r2')
  })
})

describe("the game master's message", () => {
  it('wears its save mark, and can be answered when it was not', async () => {
    const { user, regenerate } = row({ role: 'user', generation_id: null })
    expect(screen.getByText('Saved')).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Answer' }))
    expect(regenerate).toHaveBeenCalledWith('r')
  })

  it('is not called unanswered while the AI speaks', () => {
    row({ role: 'user', generation_id: null }, ['r'], true)
    expect(screen.queryByText(/Not answered yet/)).toBeNull()
  })

  it('is edited from what it says', async () => {
    const { user, edit } = row({ role: 'user', content: 'And then?' })
    await user.click(screen.getByRole('button', { name: 'Edit' }))
    expect(edit).toHaveBeenCalledWith({ id: 'r', parentId: 'q', content: 'And then?' })
  })
})
