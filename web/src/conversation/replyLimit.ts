/** The limit on replies that the account has reached, as far as the server has told this page. */
import { isLimit } from '../api/problems'
import type { Sent } from '../api/types'
import { createStore, type Readable } from '../stores/store'

export interface ReplyLimit {
  code: string
  /** When a reply can be asked for again. */
  until: number
}

/** What a proxy leaves out that answers 429 in the server's place. */
const USUAL_SECONDS = 5

const reached = createStore<ReplyLimit | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

/** Null while no limit holds: it ends by itself. */
export const replyLimit: Readable<ReplyLimit | null> = reached

/** What the server says of a message that it stored, or of a reply that it began. */
export function noteSent({ reply, limited }: Sent): void {
  if (limited) hold(limited.code, limited.retry_after)
  else if (reply !== null) release()
}

/** Whether `error` is a limit on replies. */
export function noteRefused(error: unknown): boolean {
  if (!isLimit(error)) return false
  hold(error.code, error.retryAfter ?? USUAL_SECONDS)
  return true
}

export function limitInWords({ code }: ReplyLimit): string {
  return code === 'too_many_at_once'
    ? 'Your other replies are still being written; no more may be at once.'
    : 'You have used up this minute’s replies.'
}

function hold(code: string, seconds: number): void {
  clearTimeout(timer)
  timer = setTimeout(release, seconds * 1000)
  reached.write({ code, until: Date.now() + seconds * 1000 })
}

function release(): void {
  clearTimeout(timer)
  reached.write(null)
}
