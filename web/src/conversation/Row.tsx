import { memo } from 'react'
import { Boundary } from '../ui/Boundary'
import { MessageHead } from './MessageHead'
import { Markdown } from './markdown/Markdown'
import { OutgoingMessage } from './OutgoingMessage'
import { OwnMessage } from './OwnMessage'
import { ReplyMessage } from './ReplyMessage'
import { UnshownMessage } from './UnshownMessage'
import { isMarked, type Line } from './view'

const LABELS = { user: 'You', assistant: 'Reply', system: 'Note' } as const

interface RowProps {
  line: Line
  isLast: boolean
  /** The game master's, and no reply follows it. */
  isUnanswered?: boolean
}

function isSame(before: RowProps, after: RowProps): boolean {
  if (before.isLast !== after.isLast || before.isUnanswered !== after.isUnanswered) return false
  const a = before.line
  const b = after.line
  if (a.kind === 'said' && b.kind === 'said') {
    return a.message === b.message && a.text === b.text && a.siblings.join() === b.siblings.join()
  }
  return a.kind === 'outgoing' && b.kind === 'outgoing' && a.entry === b.entry
}

/** One message, drawn again only when it changes: the others stay still while one grows. */
export const Row = memo(function Row(props: RowProps) {
  const { line } = props
  const text = line.kind === 'said' ? line.text : line.entry.content
  return (
    <Boundary of={line} fallback={() => <UnshownMessage label={labelOf(line)} text={text} />}>
      <ShownRow {...props} />
    </Boundary>
  )
}, isSame)

function labelOf(line: Line): string {
  return line.kind === 'said' ? LABELS[line.message.role] : LABELS.user
}

function ShownRow({ line, isLast, isUnanswered = false }: RowProps) {
  if (line.kind === 'outgoing') return <OutgoingMessage entry={line.entry} />
  switch (line.message.role) {
    case 'user':
      return <OwnMessage line={line} isUnanswered={isUnanswered} />
    case 'assistant':
      return <ReplyMessage line={line} isLast={isLast} />
    case 'system':
      return (
        <article aria-label={LABELS.system} className="border-l-2 border-rule pb-2 pl-4">
          {isMarked(line.message) && <MessageHead message={line.message} />}
          <Markdown text={line.text} own dimmed={line.message.hidden_from_ai} />
        </article>
      )
  }
}
