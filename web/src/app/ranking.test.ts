import { describe, expect, it } from 'vitest'
import type { Conversation } from '../api/types'
import { one } from '../lists/conversations.fixture'
import { ranked } from './ranking'

const titled = (title: string, more: Partial<Conversation> = {}) => one(title, { title, ...more })

const found = (typed: string, ...all: Conversation[]) => ranked(typed, all).map(({ title }) => title)

describe('titles for a few typed letters', () => {
  it('need every word, in whatever order, without regard to case and accents', () => {
    const all = [titled('The Émigré at the mill'), titled('The mill'), titled('An emigre')]
    expect(found('mill emi', ...all)).toEqual(['The Émigré at the mill'])
    expect(found('', ...all)).toHaveLength(3)
    expect(found('nothing', ...all)).toEqual([])
  })

  it('come with the start of the title first, then of a word, then what is inside of one', () => {
    expect(found('mill', titled('Windmills'), titled('The mill'), titled('Mill at night'))).toEqual([
      'Mill at night',
      'The mill',
      'Windmills',
    ])
  })

  it('come before those put away, the pinned and the newest ahead', () => {
    const away = titled('Mill, put away', { archived_at: 5, activity: 9 })
    const old = titled('Mill, old')
    const young = titled('Mill, young', { activity: 8 })
    const pinned = titled('Mill, pinned', { pinned: true })
    expect(found('mill', away, old, young, pinned)).toEqual([
      'Mill, pinned',
      'Mill, young',
      'Mill, old',
      'Mill, put away',
    ])
  })

  it('are found in any script, also in the middle of a line without spaces', () => {
    expect(found('水車', titled('古い水車小屋'), titled('古い小屋'))).toEqual(['古い水車小屋'])
    expect(found('طاحونة', titled('قصة طاحونة'))).toEqual(['قصة طاحونة'])
  })
  it('are found by plain letters for those with strokes, ligatures, points and Turkish dots', () => {
    const pairs = [
      ['lodz', 'Nach Łódź'],
      ['orsted', 'Ørsted'],
      ['coeur', 'Le cœur'],
      ['duong', 'Đường về'],
      ['strasse', 'Die Straße'],
      ['disari', 'DIŞARI'],
      ['DIŞARI', 'dışarı'],
      ['שלום', 'שָׁלוֹם'],
      ['محمد', 'مُحَمَّد'],
      ["it's", 'It’s over'],
    ] as const
    for (const [typed, title] of pairs) expect(found(typed, titled(title)), typed).toEqual([title])
  })
})
