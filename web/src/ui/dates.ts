/** Dates as a person writes them, in the reader's own language's order. */

const DAY = 86_400_000

const sameYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long' })
const otherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' })

/** "today", "yesterday", else the day. */
export function dayOf(millis: number, now = Date.now()): string {
  const then = new Date(millis)
  const today = new Date(now)
  const midnight = new Date(today.getFullYear(), today.getMonth(), today.getDate()).getTime()
  if (millis >= midnight && millis < midnight + DAY) return 'today'
  if (millis >= midnight - DAY && millis < midnight) return 'yesterday'
  return (then.getFullYear() === today.getFullYear() ? sameYear : otherYear).format(then)
}

export function momentOf(millis: number): string {
  return exactly.format(millis)
}

/** The first moment of the day that a date field names, here; null while it names none. */
export function startOfDay(day: string): number | null {
  const at = new Date(`${day}T00:00:00`).getTime()
  return day === '' || Number.isNaN(at) ? null : at
}

/** The first moment after that day. */
export function endOfDay(day: string): number | null {
  const at = startOfDay(day)
  if (at === null) return null
  const next = new Date(at)
  next.setDate(next.getDate() + 1)
  return next.getTime()
}
