/** Whether the server answers, and whether it knows who asks. */
import { createStore } from '../stores/store'

export type Reach = 'unknown' | 'here' | 'away' | 'stranger'

export interface Contact {
  reach: Reach
  /** The server answers, and refuses to tell this page what happens. */
  isNewsRefused: boolean
}

export const contact = createStore<Contact>(
  { reach: 'unknown', isNewsRefused: false },
  (next, now) => next.reach === now.reach && next.isNewsRefused === now.isNewsRefused,
)

export function currentReach(): Reach {
  return contact.read().reach
}

export function noteReach(reach: Reach): void {
  contact.write({ ...contact.read(), reach })
}

export function noteNews(isNewsRefused: boolean): void {
  contact.write({ ...contact.read(), isNewsRefused })
}
