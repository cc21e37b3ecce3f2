import { FastForward, RefreshCw } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { CopyButton } from '../ui/CopyButton'
import { IconButton } from '../ui/IconButton'
import { MessageHead } from './MessageHead'
import { MessageMore } from './MessageMore'
import { Markdown } from './markdown/Markdown'
import { isWhole, ReplyEnding } from './ReplyEnding'
import { SiblingArrows } from './SiblingArrows'
import { isRunning } from './state'
import { useTalk } from './TalkContext'
import { isMarked, type SaidLine } from './view'

const BookmarkMark = lazy(() => import('./BookmarkMark').then((found) => ({ default: found.BookmarkMark })))
const Reasoning = lazy(() => import('./Reasoning').then((found) => ({ default: found.Reasoning })))
const ReplyFacts = lazy(() => import('./ReplyFacts').then((found) => ({ default: found.ReplyFacts })))

interface ReplyMessageProps {
  line: SaidLine
  isLast: boolean
}

/** What the AI said, or is saying. */
export function ReplyMessage({ line, isLast }: ReplyMessageProps) {
  const { runtime, mayAsk } = useTalk()
  const [showsFacts, setShowsFacts] = useState(false)
  const { message, text } = line
  const isGrowing = isRunning(message)
  return (
    <article aria-label="Reply" aria-busy={isGrowing} className="group">
      {isMarked(message) && <MessageHead message={message} />}
      <Suspense>
        {message.parts.length > 0 && <Reasoning message={message} hasWords={text !== ''} />}
      </Suspense>
      {(text !== '' || isGrowing) && (
        <Markdown text={text} growing={isGrowing} dimmed={message.hidden_from_ai} />
      )}
      {isGrowing && text === '' && message.parts.length === 0 && (
        <p className="mt-1 text-label text-faint">Waiting for the first words</p>
      )}
      <ReplyEnding message={message} />
      <Suspense>
        {message.bookmark !== null && <BookmarkMark message={message} />}
        {showsFacts && <ReplyFacts message={message} onClose={() => setShowsFacts(false)} />}
      </Suspense>
      <div className="mt-0.5 -ml-2 flex min-h-8 items-center gap-0.5 pointer-coarse:min-h-10">
        <SiblingArrows
          id={line.id}
          siblings={line.siblings}
          onSwitch={(id) => void runtime.reading.switchTo(id)}
        />
        {!isGrowing && (
          <span className={isLast ? 'flex' : 'quiet-until-near'}>
            {isWhole(message) && (
              <IconButton
                icon={RefreshCw}
                size={16}
                label="Regenerate"
                disabled={!mayAsk}
                onClick={() => void runtime.regenerate(message.id)}
              />
            )}
            {text !== '' && <CopyButton text={text} />}
            {isLast && isWhole(message) && (
              <IconButton
                icon={FastForward}
                size={16}
                label="Continue this reply"
                disabled={!mayAsk}
                onClick={() => void runtime.continueReply(message.id)}
              />
            )}
            <MessageMore message={message} onFacts={() => setShowsFacts(true)} />
          </span>
        )}
      </div>
    </article>
  )
}
