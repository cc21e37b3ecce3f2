import { Hourglass } from 'lucide-react'
import { useMemo } from 'react'
import type { ApiError } from '../api/problems'
import { Countdown } from '../ui/Countdown'

/** As many searches as a minute may have were made; this one goes on by itself. */
export function SearchLimit({ problem }: { problem: ApiError }) {
  const until = useMemo(() => Date.now() + (problem.retryAfter ?? 0) * 1000, [problem])
  return (
    <p role="status" className="mt-4 flex items-center gap-3 text-label text-quiet">
      <Hourglass size={17} strokeWidth={1.75} className="shrink-0 text-accent" aria-hidden="true" />
      <span>
        You have used up this minute’s searches. This one goes on by itself in <Countdown until={until} />.
      </span>
    </p>
  )
}
