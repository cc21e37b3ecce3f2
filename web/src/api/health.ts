/** Whether the server can keep what is said, as it tells itself: one small store for the whole page. */
import type { Health } from './types'

const WELL: Health = { state: 'available', reasons: [] }

let health: Health = WELL
const listeners = new Set<() => void>()

export function currentHealth(): Health {
  return health
}

export function noteHealth(next: Health): void {
  if (JSON.stringify(next) === JSON.stringify(health)) return
  health = next
  for (const listener of [...listeners]) listener()
}

export function onHealth(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
