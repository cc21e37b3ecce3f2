/** Which titles a few typed letters mean, the likeliest first. */
import type { Conversation } from '../api/types'
import { byListOrder, shelfOf } from '../lists/ordering'

/** Letters that do not decompose and are compared as plain ones, as the server's search does. */
const PLAIN: Record<string, string> = {
  ...{ ł: 'l', ø: 'o', đ: 'd', ħ: 'h', ŧ: 't', ƀ: 'b', ƶ: 'z', ɨ: 'i', ð: 'd', ŋ: 'n', ı: 'i', ȷ: 'j' },
  ...{ æ: 'ae', œ: 'oe', þ: 'th', ß: 'ss', ς: 'σ', '’': "'", '‘': "'", ʼ: "'", ʻ: "'" },
  ...{ '“': '"', '”': '"', '„': '"', '–': '-', '—': '-', '‐': '-', '‑': '-' },
}
const KEYS = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'gu')

/** Letters as they are compared: without case, accents, strokes, width and what cannot be seen. */
export function folded(text: string): string {
  const plain = text
    .normalize('NFKD')
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\u0640]/gu, '')
  return plain.replace(KEYS, (letter) => PLAIN[letter] ?? letter)
}

const WORD_STARTS = /(?<![\p{L}\p{N}])[\p{L}\p{N}]/gu

/** How well a word stands in a title: at its start, at a word's, inside of one; 0 when it does not. */
function worth(word: string, title: string): number {
  if (title.startsWith(word)) return 4
  for (const { index } of title.matchAll(WORD_STARTS)) {
    if (title.startsWith(word, index)) return 3
  }
  return title.includes(word) ? 1 : 0
}

/** Those whose title has every typed word; those at hand before those put away, then by fit, then as lists are ordered. */
export function ranked(typed: string, conversations: readonly Conversation[]): Conversation[] {
  const words = folded(typed).split(/\s+/).filter(Boolean)
  const found = conversations.flatMap((conversation) => {
    const title = folded(conversation.title)
    const worths = words.map((word) => worth(word, title))
    return worths.includes(0) ? [] : [{ conversation, worth: worths.reduce((sum, each) => sum + each, 0) }]
  })
  return found
    .sort(
      (a, b) =>
        Number(a.conversation.archived_at !== null) - Number(b.conversation.archived_at !== null) ||
        b.worth - a.worth ||
        byListOrder(shelfOf(a.conversation))(a.conversation, b.conversation),
    )
    .map(({ conversation }) => conversation)
}
