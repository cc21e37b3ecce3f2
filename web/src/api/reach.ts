/** Whether the server answers, and whether it knows who asks: one small store for the whole page. */

export type Reach = 'unknown' | 'here' | 'away' | 'stranger'

let reach: Reach = 'unknown'
const listeners = new Set<() => void>()

export function currentReach(): Reach {
  return reach
}

export function noteReach(next: Reach): void {
  if (next === reach) return
  reach = next
  for (const listener of [...listeners]) listener()
}

export function onReach(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
