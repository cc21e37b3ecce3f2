/** How long the trash keeps what is in it, in words. */

const DAY = 86_400_000

/** `days` of 0: until somebody deletes it. */
export function leftInWords(deletedAt: number, days: number, now = Date.now()): string {
  if (days === 0) return 'kept until you delete it'
  const left = Math.max(0, Math.ceil((deletedAt + days * DAY - now) / DAY))
  if (left === 0) return 'goes today'
  return left === 1 ? 'one day left' : `${left} days left`
}
