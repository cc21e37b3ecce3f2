import { act, render, screen } from '@testing-library/react'
import { StrictMode } from 'react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { api } from '../api/client'
import type { ServerEvent } from '../api/events'
import type { Conversation, Message, PathMessage } from '../api/types'
import { forgetRuntimes, useConversation } from './useConversation'

const listeners = new Set<(event: ServerEvent) => void>()
const followed: string[] = []

vi.mock('../api/live', () => ({
  liveNews: () => ({
    subscribe: (listener: (event: ServerEvent) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    follow: (id: string) => {
      followed.push(id)
      return () => followed.splice(followed.indexOf(id), 1)
    },
    refollow: () => {},
  }),
}))

const message = (id: string, content: string, revision = 1) =>
  ({ id: `m${id}`, conversation_id: id, seq: 1, parent_id: null, content, revision, role: 'user' }) as Message

const conversation = (id: string) => ({ id, seq: 1, leaf_id: `m${id}`, generation_id: null }) as Conversation

function Shown({ id, name }: { id: string; name: string }) {
  const { view } = useConversation(id)
  return (
    <p data-testid={name}>
      {view.lines.map((line) => (line.kind === 'said' ? line.message.content : '')).join()}
    </p>
  )
}

const text = (name: string) => screen.getByTestId(name).textContent
const settled = () => act(async () => void (await new Promise((resolve) => setTimeout(resolve, 150))))

let revision = 1

function tell(id: string, content: string): void {
  revision += 1
  const changed = message(id, content, revision)
  for (const listener of listeners)
    listener({ type: 'message.changed', seq: 2, conversation: conversation(id), message: changed })
}

describe('one conversation in two places', () => {
  beforeEach(() => {
    forgetRuntimes()
    vi.spyOn(api, 'conversation').mockImplementation(async (id) => conversation(id))
    vi.spyOn(api, 'messages').mockImplementation(async (id) => ({
      items: [{ ...message(id, 'We knock.'), sibling_ids: [`m${id}`] } as unknown as PathMessage],
      next: null,
    }))
  })

  it('is one, fetched and followed once, and goes on when one of the two is left', async () => {
    const page = (isBoth: boolean) => (
      <StrictMode>
        <Shown id="c" name="left" />
        {isBoth && <Shown id="c" name="right" />}
      </StrictMode>
    )
    const { rerender, unmount } = render(page(true))
    await settled()
    expect([text('left'), text('right'), followed]).toEqual(['We knock.', 'We knock.', ['c']])
    tell('c', 'We knock again.')
    await settled()
    expect([text('left'), text('right')]).toEqual(['We knock again.', 'We knock again.'])
    rerender(page(false))
    expect(followed).toEqual(['c'])
    tell('c', 'We knock a third time.')
    await settled()
    expect(text('left')).toBe('We knock a third time.')
    unmount()
    expect([followed, listeners.size]).toEqual([[], 0])
  })

  it('stays one however many others are visited while it is shown', async () => {
    const page = (visited: number, isTwice: boolean) => (
      <>
        <Shown id="c" name="left" />
        <Shown key={visited} id={`other ${visited}`} name="other" />
        {isTwice && <Shown id="c" name="right" />}
      </>
    )
    const { rerender } = render(page(0, false))
    await settled()
    for (let visited = 1; visited < 12; visited++) rerender(page(visited, false))
    await settled()
    tell('c', 'We knock again.')
    await settled()
    vi.mocked(api.conversation).mockClear()
    rerender(page(11, true))
    expect([text('left'), text('right')]).toEqual(['We knock again.', 'We knock again.'])
    await settled()
    expect(api.conversation).not.toHaveBeenCalled()
  })
})
