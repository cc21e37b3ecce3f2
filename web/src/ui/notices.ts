/** What was just done and can be taken back: said once, at the edge of the page, until it is taken back or old. */
import { useSyncExternalStore } from 'react'
import { inWords } from '../api/problems'

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

let all: readonly Said[] = []
let count = 0
const listeners = new Set<() => void>()

function change(next: readonly Said[]): void {
  all = next
  for (const listener of [...listeners]) listener()
}

function update(id: number, more: Partial<Said>): void {
  change(all.map((each) => (each.id === id ? { ...each, ...more } : each)))
}

export function say(words: string, undo: (() => Promise<unknown>) | null = null): void {
  count += 1
  change([...all, { id: count, words, undo, state: 'said' as const, problem: null }].slice(-MOST))
}

export function dismiss(id: number): void {
  change(all.filter((each) => each.id !== id))
}

export async function takeBack(id: number): Promise<void> {
  const said = all.find((each) => each.id === id)
  if (said === undefined || said.undo === null || said.state === 'undoing') return
  update(id, { state: 'undoing', problem: null })
  try {
    await said.undo()
    dismiss(id)
  } catch (error) {
    update(id, { state: 'not undone', problem: inWords(error) })
  }
}

/** Whether there was something to take back. */
export function takeBackLast(): boolean {
  const last = all.findLast((each) => each.undo !== null)
  if (last === undefined) return false
  void takeBack(last.id)
  return true
}

export function allSaid(): readonly Said[] {
  return all
}

export function useSaid(): readonly Said[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => all,
  )
}
