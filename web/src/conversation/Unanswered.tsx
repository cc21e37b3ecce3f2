import { Hourglass } from 'lucide-react'
import { useStore } from '../stores/store'
import { Button } from '../ui/Button'
import { Countdown } from '../ui/Countdown'
import { limitInWords, replyLimit } from './replyLimit'
import { useTalk } from './TalkContext'

/** Under a message that got no reply: why it has none yet, or the button that asks for one. */
export function Unanswered({ messageId }: { messageId: string }) {
  const { runtime } = useTalk()
  const limit = useStore(replyLimit)
  return (
    <div className="mt-1 flex items-center gap-3 text-label text-quiet">
      {limit === null ? (
        <>
          Not answered yet.
          <Button className="pointer-coarse:min-h-11" onClick={() => void runtime.regenerate(messageId)}>
            Reply
          </Button>
        </>
      ) : (
        <>
          <Hourglass size={17} strokeWidth={1.75} className="shrink-0 text-accent" aria-hidden="true" />
          <p role="status">
            Your message is kept. {limitInWords(limit)} You can ask for the reply in{' '}
            <Countdown until={limit.until} />.
          </p>
        </>
      )}
    </div>
  )
}
