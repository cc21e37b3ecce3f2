import type { Connection } from '../api/types'

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

/** How a connection is, in few words; what failed is told beside it with its reason. */
export function stateOf({ configured, note, health }: Connection): string {
  if (note !== null) return 'cannot be used'
  if (!configured) return 'no key'
  if (health.state === 'failing') return 'does not answer'
  if (health.state === 'answering' && health.at != null) return `answered at ${time.format(health.at)}`
  return 'not asked yet'
}
