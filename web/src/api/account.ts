/**
 * Whose page this is. The session is the browser's: in another tab somebody may log out, or log in as
 * another account. A page shows one account only; when it learns that the session is another's, it begins
 * again, so that nothing in its memory is shown to another account or sent by it. What lies in the
 * browser's stores (drafts, unsent messages) is kept there under the account's id until it is back.
 */
import { BASE } from './base'

const CHANNEL = `talekeeper.account${BASE}`

type Told = { account: string | null }

let account: string | null = null
const listeners = new Set<() => void>()
const leavers = new Set<() => void>()
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL)

channel?.addEventListener('message', ({ data }: MessageEvent<Told>) => {
  if (account !== null && data.account !== account) beginAgain()
})

/** The account that this page belongs to; null until the server has said it. */
export function currentAccount(): string | null {
  return account
}

export function onAccount(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Called when the page turns out to be another account's, before it begins again. */
export function onLeaving(listener: () => void): void {
  leavers.add(listener)
}

function beginAgain(): void {
  for (const leave of [...leavers]) leave()
  location.reload()
}

/** The server says whose session it is. */
export function noteAccount(id: string): void {
  if (id === account) return
  if (account !== null) {
    beginAgain()
    return
  }
  account = id
  channel?.postMessage({ account } satisfies Told)
  for (const listener of [...listeners]) listener()
}

/** This browser's session has ended: no other tab shows anything of it any more. */
export function noteLogout(): void {
  channel?.postMessage({ account: null } satisfies Told)
}
