/** Whether what is said can be saved, put together from the server's own word and what waits here. */
import type { Reach } from '../api/reach'
import type { Health } from '../api/types'

export interface Seen {
  reach: Reach
  health: Health
  /** The server answers, and refuses to tell this page what happens. */
  isNewsRefused: boolean
  /** Messages that are not acknowledged yet. */
  waiting: number
  /** Those of them that were tried in vain. */
  unsaved: number
  /** Whether what waits outlives the page. */
  isLasting: boolean
}

export interface Persistence {
  state: 'available' | 'degraded' | 'unavailable'
  /** What is true. Empty while there is nothing to say. */
  headline: string
  /** What is safe, and what to do. */
  advice: string
  /** For whoever wants to know more. */
  reasons: Health['reasons']
}

const FINE: Persistence = { state: 'available', headline: '', advice: '', reasons: [] }

function waitingWords({ waiting, isLasting }: Seen): string {
  if (waiting === 0) return ''
  const one = waiting === 1
  const many = one ? 'One message waits' : `${waiting} messages wait`
  return isLasting
    ? `${many} in this browser and ${one ? 'goes' : 'go'} out when saving works again, even if you close this page.`
    : `${many} in this tab, since this browser stores nothing for it: keep the tab open.`
}

function joined(...sentences: string[]): string {
  return sentences.filter((each) => each !== '').join(' ')
}

export function persistenceOf(seen: Seen): Persistence {
  const { reach, health, unsaved, isLasting, waiting } = seen
  if (reach === 'away') {
    return {
      state: 'unavailable',
      headline: 'The server is not answering.',
      advice: joined(
        'What was saved is safe on its disk.',
        waiting === 0
          ? 'Is it still running? This page goes on by itself when it is back.'
          : waitingWords(seen),
      ),
      reasons: [],
    }
  }
  const [reason] = health.reasons
  if (health.state === 'unavailable') {
    return {
      state: 'unavailable',
      headline: 'Nothing can be saved at the moment.',
      advice: joined(reason?.message ?? '', 'What was saved can be read.', waitingWords(seen)),
      reasons: health.reasons,
    }
  }
  if (unsaved > 0) {
    return {
      state: 'degraded',
      headline: unsaved === 1 ? 'One message is not saved yet.' : `${unsaved} messages are not saved yet.`,
      advice: joined(
        health.state === 'degraded' ? (reason?.message ?? '') : '',
        isLasting
          ? 'They are tried again by themselves and stay in this browser until then.'
          : waitingWords(seen),
      ),
      reasons: health.reasons,
    }
  }
  if (seen.isNewsRefused) {
    return {
      state: 'degraded',
      headline: 'This page does not hear what is new.',
      advice: 'What you write is saved. Reload the page to see replies as they come.',
      reasons: health.reasons,
    }
  }
  if (health.state === 'degraded') {
    return {
      state: 'degraded',
      headline: 'Saving works, but something stands in its way.',
      advice: reason?.message ?? '',
      reasons: health.reasons,
    }
  }
  return FINE
}
