/** The tabs of one browser: which of them live, and one at a time among them. */
import { BASE } from '../api/base'
import { newId } from '../api/ids'

const LOCK = `talekeeper.outbox${BASE}`
const TAB = `${LOCK}.tab.`
/** A lock that is not had by then belongs to a tab that sleeps; posting twice is harmless. */
const ASLEEP = 30_000

/** The same over reloads of this tab. */
export function tabId(): string {
  try {
    const id = sessionStorage.getItem('talekeeper.tab') ?? newId()
    sessionStorage.setItem('talekeeper.tab', id)
    return id
  } catch {
    return newId()
  }
}

/** Hold the lock by which the other tabs know that this one lives. */
export function showLife(locks: LockManager | undefined, tab: string): void {
  void locks?.request(TAB + tab, () => new Promise(() => {}))
}

/** The tabs that live; null where that cannot be known. */
export async function livingTabs(locks: LockManager | undefined): Promise<ReadonlySet<string> | null> {
  if (locks === undefined) return null
  const { held } = await locks.query()
  const names = (held ?? []).map((lock) => lock.name ?? '')
  return new Set(names.filter((name) => name.startsWith(TAB)).map((name) => name.slice(TAB.length)))
}

/** Do `work` while no other tab does anything of that name; each takes its turn. */
export async function alone(
  locks: LockManager | undefined,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  if (locks === undefined) return work()
  const lock = `${LOCK}.${name}`
  let hasBegun = false
  const waiting = new AbortController()
  const timer = setTimeout(() => {
    if (!hasBegun) waiting.abort()
  }, ASLEEP)
  const begin = () => {
    hasBegun = true
    return work()
  }
  try {
    await locks.request(lock, { signal: waiting.signal }, begin)
  } catch (error) {
    // Taken over by another tab, which found us asleep: it goes on with what is left.
    if (hasBegun && error instanceof DOMException && error.name === 'AbortError') return
    if (hasBegun || !waiting.signal.aborted) throw error
    await locks.request(lock, { steal: true }, begin)
  } finally {
    clearTimeout(timer)
  }
}
