import { describe, expect, it } from 'vitest'
import documented from '../../../docs/reference/page-states.md?raw'
import { agreed, HAPPENINGS, isLoaded, STATES, turned } from './machine'

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

/** What the documentation says: [state, happening, next state], without what changes nothing. */
function table(): string[][] {
  const lines = documented.split('\n').filter((line) => line.startsWith('|'))
  const [head = [], , ...rows] = lines.map(cells)
  return rows.flatMap(([state = '', ...nexts]) =>
    nexts.flatMap((next, at) => (next === '' ? [] : [[state, head[at + 1] ?? '', next]])),
  )
}

/** What the diagram draws. */
function arrows(): string[][] {
  return [...documented.matchAll(/^ {4}(\w+) --> (\w+): (.+)$/gm)].flatMap(
    ([, from = '', to = '', why = '']) =>
      why.split(', ').map((happening) => [from.replaceAll('_', ' '), happening, to.replaceAll('_', ' ')]),
  )
}

function all(): string[][] {
  return STATES.flatMap((state) =>
    HAPPENINGS.flatMap((happening) => {
      const next = turned(state, happening)
      return next === state ? [] : [[state, happening, next]]
    }),
  )
}

describe("the page's states", () => {
  it('turn as the documentation lists them', () => {
    expect(table().toSorted()).toEqual(all().toSorted())
  })

  it('turn as the documentation draws them', () => {
    expect(arrows().toSorted()).toEqual(all().toSorted())
  })

  it('agree with the facts after one look, whatever they were before', () => {
    for (const state of STATES) {
      for (const isAnswering of [false, true]) {
        for (const hasUnsaved of [false, true]) {
          const facts = { isAnswering, hasUnsaved }
          const now = agreed(state, facts)
          expect(agreed(now, facts)).toBe(now)
          expect(isLoaded(now)).toBe(isLoaded(state))
          if (!isLoaded(state)) expect(now).toBe(state)
          else if (hasUnsaved) expect(now).toBe('persistence failed')
          else expect(now).toBe(isAnswering ? 'streaming' : 'ready')
        }
      }
    }
  })

  it('let nothing be said before the conversation is loaded', () => {
    const before = STATES.filter((state) => !isLoaded(state))
    expect(before).toEqual(['unmounted', 'loading', 'loading failed'])
    for (const state of before) {
      for (const happening of HAPPENINGS) {
        if (happening !== 'loaded') expect(isLoaded(turned(state, happening))).toBe(false)
      }
    }
  })
})
