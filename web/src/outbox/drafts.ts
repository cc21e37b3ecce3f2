/**
 * What is typed and not yet sent, kept over reloads per account and conversation, and what has just been
 * sent and is on its way into the outbox's store.
 *
 * Sending moves a message from the draft to `leaving` in one write, under the id that it will always have;
 * the outbox takes it out once its own store holds it on the disk. Whenever the page dies, the text is in
 * the draft, or among what leaves, or in the outbox. A message that is found among what leaves goes out
 * under its id, so however often that happens it is one message.
 */
import { sendable } from '../writing/keepable'
import type { Unsent } from './unsent'

interface Kept {
  readonly text: string
  readonly leaving: readonly Unsent[]
}

const PREFIX = 'talekeeper.drafts.'
/** Where drafts were before they belonged to an account. */
const UNOWNED = 'talekeeper.draft.'

const keyOf = (account: string, conversationId: string) => `${PREFIX}${account}.${conversationId}`

function read(key: string): Kept {
  try {
    const { text, leaving } = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Kept>
    return { text: text ?? '', leaving: leaving ?? [] }
  } catch {
    return { text: '', leaving: [] }
  }
}

function write(key: string, kept: Kept): void {
  try {
    if (kept.text === '' && kept.leaving.length === 0) localStorage.removeItem(key)
    else localStorage.setItem(key, JSON.stringify(kept))
  } catch {
    // Without storage, or without room in it, the draft lives as long as the page.
  }
}

/** The draft of a conversation that the server has shown to be the account's. */
export function keptDraft(account: string, conversationId: string): string {
  adopt(account, conversationId)
  return read(keyOf(account, conversationId)).text
}

export function keepDraft(account: string, conversationId: string, text: string): void {
  const key = keyOf(account, conversationId)
  write(key, { ...read(key), text })
}

function adopt(account: string, conversationId: string): void {
  try {
    const found = localStorage.getItem(UNOWNED + conversationId)
    if (found === null) return
    keepDraft(account, conversationId, found)
    localStorage.removeItem(UNOWNED + conversationId)
  } catch {
    // Without storage there is none to adopt.
  }
}

/** What has been sent and may not be in the outbox's store yet. */
export interface Leaving {
  all(account: string): readonly Unsent[]
  add(message: Unsent): void
  remove(message: Unsent): void
}

export const leaving: Leaving = {
  all(account) {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(keyOf(account, '')))
        .flatMap((key) => read(key).leaving)
        .sort((a, b) => a.createdAt - b.createdAt)
    } catch {
      return []
    }
  },
  add(message) {
    const key = keyOf(message.account, message.conversationId)
    const kept = read(key)
    // An edit is no draft: what is typed beside it stays. So does what another tab has typed.
    const text = sendable(kept.text) === message.content ? '' : kept.text
    write(key, { text, leaving: [...kept.leaving, message] })
  },
  remove({ account, conversationId, id }) {
    const key = keyOf(account, conversationId)
    const kept = read(key)
    if (kept.leaving.every((each) => each.id !== id)) return
    write(key, { ...kept, leaving: kept.leaving.filter((each) => each.id !== id) })
  },
}
