/**
 * Whose page this is. The session is the browser's: in another tab somebody may log out, or log in as
 * another account. A page shows one account only; when it learns that the session is another's, it begins
 * again, so that nothing in its memory is shown to another account or sent by it. What lies in the
 * browser's stores (drafts, unsent messages) is kept there under the account's id until it is back.
 */
import { Listeners } from '../stores/listeners'
import { createStore, type Readable } from '../stores/store'
import { BASE } from './base'

const CHANNEL = `talekeeper.account${BASE}`

type Told = { account: string | null }

const known = createStore<string | null>(null)
const leaving = new Listeners()
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL)

channel?.addEventListener('message', ({ data }: MessageEvent<Told>) => {
  const account = known.read()
  if (account !== null && data.account !== account) beginAgain()
})

/** The account that this page belongs to; null until the server has said it. */
export const account: Readable<string | null> = known

/** Calls back when the page turns out to be another account's, before it begins again. */
export const onLeaving = leaving.add

function beginAgain(): void {
  leaving.tell()
  location.reload()
}

/** The server says whose session it is. */
export function noteAccount(id: string): void {
  if (id === known.read()) return
  if (known.read() !== null) {
    beginAgain()
    return
  }
  channel?.postMessage({ account: id } satisfies Told)
  known.write(id)
}

/** This browser's session has ended: no other tab shows anything of it any more. */
export function noteLogout(): void {
  channel?.postMessage({ account: null } satisfies Told)
}
