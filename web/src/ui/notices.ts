/** What was just done and can be taken back: said once, at the edge of the page, until it is taken back or old. */
import { inWords } from '../api/problems'
import { createStore, type Readable } from '../stores/store'

export interface Said {
  readonly id: number
  readonly words: string
  readonly undo: (() => Promise<unknown>) | null
  /** Taking it back is on its way, or could not be done. */
  readonly state: 'said' | 'undoing' | 'not undone'
  readonly problem: string | null
}

/** More at once would be a list to read. */
const MOST = 3

const all = createStore<readonly Said[]>([])
let count = 0

export const said: Readable<readonly Said[]> = all

function update(id: number, more: Partial<Said>): void {
  all.write(all.read().map((each) => (each.id === id ? { ...each, ...more } : each)))
}

export function say(words: string, undo: (() => Promise<unknown>) | null = null): void {
  count += 1
  all.write([...all.read(), { id: count, words, undo, state: 'said' as const, problem: null }].slice(-MOST))
}

export function dismiss(id: number): void {
  all.write(all.read().filter((each) => each.id !== id))
}

export async function takeBack(id: number): Promise<void> {
  const found = all.read().find((each) => each.id === id)
  if (found === undefined || found.undo === null || found.state === 'undoing') return
  update(id, { state: 'undoing', problem: null })
  try {
    await found.undo()
    dismiss(id)
  } catch (error) {
    update(id, { state: 'not undone', problem: inWords(error) })
  }
}

/** Whether there was something to take back. */
export function takeBackLast(): boolean {
  const last = all.read().findLast((each) => each.undo !== null)
  if (last === undefined) return false
  void takeBack(last.id)
  return true
}
