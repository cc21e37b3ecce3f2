import type { OutboxEntry } from '../outbox/entries'
import { outbox } from '../outbox/outbox'
import { Button } from '../ui/Button'
import { copyText } from '../ui/copying'
import { Pilcrow } from '../ui/Pilcrow'
import { Markdown } from './markdown/Markdown'
import { Reference } from './Reference'
import { SaveMark } from './SaveMark'

/** What the game master said and the server has not acknowledged. */
export function OutgoingMessage({ entry }: { entry: OutboxEntry }) {
  const isHeld = entry.state === 'unsaved' || entry.state === 'refused'
  return (
    <article aria-label="You" className="relative pl-5">
      <Pilcrow className="absolute top-[0.5em] left-0 h-[0.8em]" />
      <Markdown text={entry.content} own />
      <div
        className="mt-0.5 flex min-h-8 flex-wrap items-center gap-x-3 gap-y-1.5"
        role={isHeld ? 'alert' : undefined}
      >
        <SaveMark state={entry.state} />
        {entry.problem !== null && <span className="text-label text-quiet">{entry.problem}</span>}
        {isHeld && (
          <span className="flex gap-2">
            <Button onClick={() => outbox.retry(entry.id)}>Retry</Button>
            <Button onClick={() => void copyText(entry.content)}>Copy</Button>
            {entry.state === 'refused' && <Button onClick={() => outbox.discard(entry.id)}>Discard</Button>}
          </span>
        )}
        {isHeld && entry.reference !== null && <Reference reference={entry.reference} />}
      </div>
    </article>
  )
}
