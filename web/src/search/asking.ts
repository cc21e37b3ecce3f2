/** What the search page asks, as it stands in its address. */
import type { Conversation, SearchAsked } from '../api/types'
import { endOfDay, startOfDay } from '../ui/dates'

type Purpose = Conversation['purpose']

export interface SearchPlace {
  q?: string | undefined
  role?: 'user' | 'assistant' | undefined
  purpose?: Purpose | undefined
  /** Days, as a date field writes them. */
  from?: string | undefined
  to?: string | undefined
  /** `no`: only what is at hand. */
  archived?: 'no' | undefined
}

export const PURPOSES: Record<Purpose, string> = {
  general: 'General',
  campaign_creation: 'Campaign creation',
  session_planning: 'Session planning',
  npc_generation: 'NPCs',
  world_building: 'World building',
  character_background: 'Character backgrounds',
}

const DAY = /^\d{4}-\d{2}-\d{2}$/

function day(value: unknown): string | undefined {
  return typeof value === 'string' && DAY.test(value) ? value : undefined
}

/** Whatever an address says, as a place one can search from; what makes no sense is left out. */
export function placeIn(search: Record<string, unknown>): SearchPlace {
  const { q, role, purpose, from, to, archived } = search
  // An address that ends in ?q=1984 is read as a number.
  const text = typeof q === 'string' || typeof q === 'number' ? String(q) : ''
  return {
    q: text === '' ? undefined : text,
    role: role === 'user' || role === 'assistant' ? role : undefined,
    purpose:
      typeof purpose === 'string' && Object.hasOwn(PURPOSES, purpose) ? (purpose as Purpose) : undefined,
    from: day(from),
    to: day(to),
    archived: archived === 'no' ? 'no' : undefined,
  }
}

export function askedAt({ q = '', role, purpose, from, to, archived }: SearchPlace): SearchAsked {
  return {
    q: q.trim(),
    role,
    purpose,
    from: startOfDay(from ?? '') ?? undefined,
    to: endOfDay(to ?? '') ?? undefined,
    archived: archived === 'no' ? false : undefined,
  }
}

/** How many ways the search is narrowed. */
export function narrowings({ role, purpose, from, to, archived }: SearchPlace): number {
  return [role, purpose, from, to, archived].filter((each) => each !== undefined).length
}
