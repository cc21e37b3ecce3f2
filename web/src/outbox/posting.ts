/** Posting one message: a few tries in quick succession, with what holds it up told meanwhile. */
import type { MessageDraft } from '../api/client'
import { ApiError, inWords } from '../api/problems'
import { backoff, mayTryAgain, pause } from '../api/retrying'
import type { Sent } from '../api/types'

export type Post = (conversationId: string, draft: MessageDraft) => Promise<Sent>

/** Quick tries end within this time: by then the person is told. */
const QUICK = 4500
const QUICK_TRIES = 4
/** After so long a message on its way says that it takes its time. */
export const SLOW = 1800

interface Posting {
  /** Told in words while it goes on. */
  onHeldUp: (problem: string) => void
  /** Whether it may still be posted; asked before every further try. */
  isWanted: () => boolean
}

/** Throws what the last try threw. */
export async function posted(post: () => Promise<Sent>, { onHeldUp, isWanted }: Posting): Promise<Sent> {
  const began = Date.now()
  let isHeldUp = false
  const tell = (problem: string) => {
    isHeldUp = true
    onHeldUp(problem)
  }
  const slow = setTimeout(() => {
    if (!isHeldUp) tell('The server has not answered yet.')
  }, SLOW)
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        return await post()
      } catch (error) {
        const asked = error instanceof ApiError && error.retryAfter !== null ? error.retryAfter * 1000 : 0
        const wait = Math.max(asked, backoff(attempt, 4000))
        const isOver = attempt + 1 >= QUICK_TRIES || Date.now() - began + wait > QUICK
        if (!mayTryAgain(error) || isOver) throw error
        tell(`${inWords(error)} Trying again.`)
        await pause(wait)
        if (!isWanted()) throw error
      }
    }
  } finally {
    clearTimeout(slow)
  }
}
