/**
 * In which state the page of a conversation is: one pure function over everything that can happen to it.
 *
 * The states are those of the design that Talekeeper was asked for. `docs/reference/page-states.md` draws
 * them, and a test holds its table to `turned`. What happens is told by `following.ts`; where several
 * things hold at once (a reply grows while a message could not be saved), `towards` says what comes next.
 */

export const STATES = [
  'unmounted',
  'loading',
  'loading failed',
  'ready',
  'streaming',
  'persistence failed',
] as const

export type PageState = (typeof STATES)[number]

export const HAPPENINGS = [
  'mount',
  'unmount',
  'loaded',
  'load failed',
  'retry',
  'reply began',
  'reply ended',
  'save failed',
  'recovered',
  'dismissed',
  'gone',
] as const

export type Happening = (typeof HAPPENINGS)[number]

/** The state after `happening`; the same one where it means nothing there. */
export function turned(state: PageState, happening: Happening): PageState {
  switch (happening) {
    case 'mount':
      return state === 'unmounted' ? 'loading' : state
    case 'unmount':
      return 'unmounted'
    case 'loaded':
      return state === 'loading' ? 'ready' : state
    case 'load failed':
      return state === 'loading' ? 'loading failed' : state
    case 'retry':
      if (state === 'loading failed') return 'loading'
      return state === 'persistence failed' ? 'ready' : state
    case 'reply began':
      return state === 'ready' ? 'streaming' : state
    case 'reply ended':
      return state === 'streaming' ? 'ready' : state
    case 'save failed':
      return state === 'ready' || state === 'streaming' ? 'persistence failed' : state
    case 'recovered':
    case 'dismissed':
      return state === 'persistence failed' ? 'ready' : state
    case 'gone':
      return state === 'unmounted' ? state : 'loading failed'
    default:
      return happening satisfies never
  }
}

export interface Facts {
  isAnswering: boolean
  /** A message could not be saved and waits for a hand or for the server. */
  hasUnsaved: boolean
}

/** What has to happen next for the state to agree with the facts; null when it does. */
export function towards(state: PageState, { isAnswering, hasUnsaved }: Facts): Happening | null {
  switch (state) {
    case 'ready':
      if (hasUnsaved) return 'save failed'
      return isAnswering ? 'reply began' : null
    case 'streaming':
      if (hasUnsaved) return 'save failed'
      return isAnswering ? null : 'reply ended'
    case 'persistence failed':
      return hasUnsaved ? null : 'recovered'
    case 'unmounted':
    case 'loading':
    case 'loading failed':
      return null
    default:
      return state satisfies never
  }
}

/** The state that agrees with the facts. */
export function agreed(state: PageState, facts: Facts): PageState {
  let now = state
  for (let next = towards(now, facts); next !== null; next = towards(now, facts)) now = turned(now, next)
  return now
}

/** Whether something may be said: the conversation is loaded. */
export function isLoaded(state: PageState): boolean {
  return state === 'ready' || state === 'streaming' || state === 'persistence failed'
}
