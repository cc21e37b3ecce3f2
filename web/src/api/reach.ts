/** Whether the server answers, and whether it knows who asks: one small store for the whole page. */

export type Reach = 'unknown' | 'here' | 'away' | 'stranger'

let reach: Reach = 'unknown'
let refused = false
const listeners = new Set<() => void>()

export function currentReach(): Reach {
  return reach
}

export function noteReach(next: Reach): void {
  if (next === reach) return
  reach = next
  for (const listener of [...listeners]) listener()
}

/** Whether the server, which answers, refuses to tell this page what happens. */
export function isNewsRefused(): boolean {
  return refused
}

export function noteNews(isRefused: boolean): void {
  if (isRefused === refused) return
  refused = isRefused
  for (const listener of [...listeners]) listener()
}

export function onReach(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
