import { PencilLine } from 'lucide-react'
import { lazy, Suspense } from 'react'
import { Button } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { IconButton } from '../ui/IconButton'
import { Pilcrow } from '../ui/Pilcrow'
import { MessageMore } from './MessageMore'
import { Markdown } from './markdown/Markdown'
import { SaveMark } from './SaveMark'
import { SiblingArrows } from './SiblingArrows'
import { useTalk } from './TalkContext'
import type { SaidLine } from './view'

const BookmarkMark = lazy(() => import('./BookmarkMark').then((found) => ({ default: found.BookmarkMark })))

interface OwnMessageProps {
  line: SaidLine
  isUnanswered: boolean
}

/** What the game master said. */
export function OwnMessage({ line, isUnanswered }: OwnMessageProps) {
  const { runtime, edit, isAnswering } = useTalk()
  const { message } = line
  return (
    <article aria-label="You" className="group relative pl-5">
      <Pilcrow className="absolute top-[0.5em] left-0 h-[0.8em]" />
      <Markdown text={line.text} own />
      {message.bookmark !== null && (
        <Suspense>
          <BookmarkMark message={message} />
        </Suspense>
      )}
      <div className="mt-0.5 flex min-h-8 items-center gap-0.5">
        <SaveMark state="saved" />
        <SiblingArrows
          id={line.id}
          siblings={line.siblings}
          onSwitch={(id) => void runtime.reading.switchTo(id)}
        />
        <span className="quiet-until-near">
          <IconButton
            icon={PencilLine}
            label="Edit"
            onClick={() => edit({ id: message.id, parentId: message.parent_id, content: message.content })}
          />
          <CopyButton text={message.content} />
          <MessageMore message={message} />
        </span>
      </div>
      {isUnanswered && !isAnswering && (
        <p className="mt-1 flex items-center gap-3 text-label text-quiet">
          Not answered yet.
          <Button className="pointer-coarse:min-h-11" onClick={() => void runtime.regenerate(message.id)}>
            Answer
          </Button>
        </p>
      )}
    </article>
  )
}
