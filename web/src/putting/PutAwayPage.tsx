import { Link } from '@tanstack/react-router'
import type { Conversation, Shelf } from '../api/types'
import { useConversations } from '../lists/conversations'
import { Button } from '../ui/Button'
import { Empty } from '../ui/Empty'
import { ListFailed } from '../ui/ListFailed'
import { ListLoading } from '../ui/ListLoading'
import { PageFrame } from '../ui/PageFrame'
import { PutAwayRow } from './PutAwayRow'

const tab = 'border-b-2 border-transparent px-1 pt-1.5 pb-2 text-quiet hover:text-ink pointer-coarse:min-h-11'
const current = { className: '!border-accent font-semibold !text-ink', 'aria-current': 'page' } as const

interface PutAwayListProps {
  shelf: Exclude<Shelf, 'active'>
}

function PutAwayList({ shelf }: PutAwayListProps) {
  const list = useConversations(shelf)
  if (list.isPending) return <ListLoading label="Loading the list" />
  if (list.data === undefined) {
    return (
      <ListFailed
        words="The list could not be loaded."
        problem={list.error?.message}
        onRetry={() => void list.refetch()}
      />
    )
  }
  const conversations: Conversation[] = list.data.pages.flatMap((page) => page.items)
  if (conversations.length === 0) {
    return (
      <Empty>
        {shelf === 'trash'
          ? 'The trash is empty. What you delete waits here, and comes back whole.'
          : 'The archive is empty. What you archive is out of the way here, and is found and read like the rest.'}
      </Empty>
    )
  }
  return (
    <>
      <ul className="border-b border-rule">
        {conversations.map((conversation) => (
          <PutAwayRow key={conversation.id} conversation={conversation} />
        ))}
      </ul>
      {list.hasNextPage && (
        <Button className="mt-5" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {list.isFetchingNextPage ? 'Loading…' : 'Older ones'}
        </Button>
      )}
    </>
  )
}

function PutAwayPage({ shelf }: PutAwayListProps) {
  return (
    <PageFrame title={shelf === 'trash' ? 'Trash' : 'Archive'}>
      <nav aria-label="Put away" className="mb-5 flex gap-5 border-b border-rule">
        <Link to="/archive" className={tab} activeProps={current}>
          Archive
        </Link>
        <Link to="/trash" className={tab} activeProps={current}>
          Trash
        </Link>
      </nav>
      <PutAwayList shelf={shelf} />
    </PageFrame>
  )
}

export function ArchivePage() {
  return <PutAwayPage shelf="archived" />
}

export function TrashPage() {
  return <PutAwayPage shelf="trash" />
}
