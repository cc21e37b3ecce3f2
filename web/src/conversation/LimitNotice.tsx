import { Hourglass } from 'lucide-react'
import { Countdown } from '../ui/Countdown'
import { limitInWords, type ReplyLimit } from './replyLimit'

/** Over the composer: for how long no reply can be asked for. What is sent meanwhile is kept. */
export function LimitNotice({ limit }: { limit: ReplyLimit }) {
  return (
    <p
      role="status"
      className="mb-1.5 flex items-center gap-3 border-l-2 border-accent bg-leaf py-1.5 pr-1 pl-3 text-label text-quiet"
    >
      <Hourglass size={17} strokeWidth={1.75} className="shrink-0 text-accent" aria-hidden="true" />
      <span>
        {limitInWords(limit)} You can ask for the next in <Countdown until={limit.until} />.
      </span>
    </p>
  )
}
