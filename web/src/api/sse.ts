/**
 * An event stream read over fetch.
 *
 * EventSource can set no header on its first request, tells nothing of statuses and cannot be watched
 * for silence; this one asks before each attempt where to go on, gives up on a stream that has been quiet
 * for longer than the server's heartbeat allows, and tries again with growing pauses for as long as it is
 * wanted.
 */
import { backoff, pause } from './retrying'

/** However long a server asks to wait. */
const LONGEST_WAIT = 60_000

export interface Frame {
  event: string
  data: string
  id: string | null
}

/** Frames out of text that arrives in pieces of any size. */
export function frameReader(take: (frame: Frame) => void): (piece: string) => void {
  let rest = ''
  let event = ''
  let data: string[] = []
  let id: string | null = null

  const line = (text: string) => {
    if (text === '') {
      if (data.length > 0) take({ event: event || 'message', data: data.join('\n'), id })
      event = ''
      data = []
      return
    }
    if (text.startsWith(':')) return
    const colon = text.indexOf(':')
    const field = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') event = value
    else if (field === 'data') data.push(value)
    else if (field === 'id' && !value.includes('\0')) id = value
  }

  return (piece) => {
    rest += piece
    // A carriage return at the very end may be half of a line end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const each of lines) line(each)
  }
}

/** Where a stream is opened, and from which place it goes on. */
export interface StreamAddress {
  url: string
  lastEventId: string | null
}

export interface StreamOptions {
  /** Asked before every attempt. */
  ask: () => StreamAddress
  onFrame: (frame: Frame) => void
  onOpen?: () => void
  /** Something came, be it only the server's sign of life. */
  onAlive?: () => void
  /** The stream ended or could not be had; it is tried again unless the status is 401. */
  onLost?: (status: number) => void
  heartbeat?: number
}

/** Keep a stream open until the returned function is called. */
export function openStream(options: StreamOptions): () => void {
  const { ask, onFrame, onOpen, onAlive, onLost, heartbeat = 40_000 } = options
  const closed = new AbortController()
  /** Seconds to wait, as an answer said that was a limit. */
  let asksToWait = 0

  async function once(): Promise<number> {
    const attempt = new AbortController()
    const abort = () => attempt.abort()
    closed.signal.addEventListener('abort', abort)
    let watchdog = setTimeout(abort, heartbeat)
    asksToWait = 0
    const { url, lastEventId } = ask()
    try {
      const response = await fetch(url, {
        signal: attempt.signal,
        cache: 'no-store',
        headers: {
          Accept: 'text/event-stream',
          ...(lastEventId === null ? {} : { 'Last-Event-ID': lastEventId }),
        },
      })
      if (!response.ok || response.body === null) {
        if (response.status === 429) asksToWait = Number(response.headers.get('retry-after')) || 0
        return response.status
      }
      onOpen?.()
      const read = frameReader((frame) => {
        if (!closed.signal.aborted) onFrame(frame)
      })
      const reader = response.body.getReader()
      const decoder = new TextDecoder()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return 200
        clearTimeout(watchdog)
        watchdog = setTimeout(abort, heartbeat)
        onAlive?.()
        read(decoder.decode(value, { stream: true }))
      }
    } catch {
      return 0
    } finally {
      clearTimeout(watchdog)
      closed.signal.removeEventListener('abort', abort)
    }
  }

  async function keep(): Promise<void> {
    let attempt = 0
    while (!closed.signal.aborted) {
      const began = Date.now()
      const status = await once()
      if (closed.signal.aborted) return
      onLost?.(status)
      if (status === 401) return
      attempt = Date.now() - began > 5000 ? 0 : attempt + 1
      // Somebody who has just started the server again should not wait long for the page to notice.
      const wait = Math.min(asksToWait * 1000, LONGEST_WAIT)
      await pause(Math.max(wait, backoff(Math.max(0, attempt - 1), 5000)), closed.signal)
    }
  }

  void keep()
  return () => closed.abort()
}
