/** Words for what lets somebody in. */
import type { Token } from '../api/types'
import { dayOf, momentOf } from '../ui/dates'

interface Words {
  title: string
  /** The question before it is ended, what then happens, and the button. */
  question: string
  outcome: string
  end: string
}

export function wordsFor({ kind, is_current }: Token): Words {
  switch (kind) {
    case 'session':
      return {
        title: is_current ? 'This browser' : 'A browser that is logged in',
        question: 'Log that browser out?',
        outcome: 'It shows the login page within two seconds. What was written in it is kept.',
        end: 'Log it out',
      }
    case 'bearer':
      return {
        title: 'A token for programs',
        question: 'End this token?',
        outcome: 'Programs that use it are shut out at once. It cannot be made good again.',
        end: 'End it',
      }
    case 'login':
      return {
        title: 'A login link, not used yet',
        question: 'End this login link?',
        outcome: 'Nobody is let in by it any more. Another link can be made at any time.',
        end: 'End it',
      }
  }
}

function untilWhen({ kind, expires_at }: Token): string {
  if (expires_at === null) return kind === 'login' ? 'until the server stops' : 'until it is ended'
  if (kind === 'session') return `until ${dayOf(expires_at)} unless used before`
  return `until ${momentOf(expires_at)}`
}

export function factsOf(token: Token): string[] {
  const { kind, created_at, last_used_at } = token
  const isUsed = last_used_at !== null && last_used_at !== undefined
  return [
    `${kind === 'session' ? 'logged in' : 'made'} ${momentOf(created_at)}`,
    ...(isUsed ? [`last used ${dayOf(last_used_at)}`] : []),
    untilWhen(token),
  ]
}
