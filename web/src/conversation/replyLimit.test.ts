import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, unreachable } from '../api/problems'
import type { Message, Sent } from '../api/types'
import { noteRefused, noteSent, replyLimit } from './replyLimit'

const stored: Sent = {
  message: {} as Message,
  reply: null,
  generation_id: null,
  branched: false,
  limited: null,
}
const limited = (seconds: number): Sent => ({
  ...stored,
  limited: { code: 'too_often', retry_after: seconds },
})
const refused = (seconds: number | null) => new ApiError(429, 'too_many_at_once', 'Wait.', true, seconds)

describe('the limit on replies', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => {
    noteSent({ ...stored, reply: {} as Message })
    vi.useRealTimers()
  })

  it('holds for as long as the server says, and ends by itself', () => {
    noteSent(limited(12))
    expect(replyLimit.read()).toEqual({ code: 'too_often', until: Date.now() + 12_000 })
    vi.advanceTimersByTime(11_999)
    expect(replyLimit.read()).not.toBeNull()
    vi.advanceTimersByTime(1)
    expect(replyLimit.read()).toBeNull()
  })

  it('is what was told last', () => {
    noteSent(limited(60))
    noteRefused(refused(5))
    expect(replyLimit.read()?.code).toBe('too_many_at_once')
    vi.advanceTimersByTime(5_000)
    expect(replyLimit.read()).toBeNull()
  })

  it('ends when a reply begins, and not when a message is stored beside a growing one', () => {
    noteSent(limited(60))
    noteSent({ ...stored, generation_id: 'g' })
    expect(replyLimit.read()).not.toBeNull()
    noteSent({ ...stored, reply: {} as Message })
    expect(replyLimit.read()).toBeNull()
  })

  it('is nothing but a 429, which a proxy may send without a time', () => {
    expect(noteRefused(unreachable())).toBe(false)
    expect(noteRefused(new ApiError(409, 'generation_running', '', false))).toBe(false)
    expect(replyLimit.read()).toBeNull()
    expect(noteRefused(refused(null))).toBe(true)
    expect(replyLimit.read()).not.toBeNull()
  })
})
