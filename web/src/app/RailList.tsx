import { useConversations } from '../lists/conversations'
import { Button } from '../ui/Button'
import { RailRow } from './RailRow'

function moveFocus(list: HTMLElement, by: 1 | -1): void {
  const links = [...list.querySelectorAll<HTMLElement>('[data-rail-link]')]
  const at = links.indexOf(document.activeElement as HTMLElement)
  if (at >= 0) links[at + by]?.focus()
}

export function RailList({ onOpened }: { onOpened: () => void }) {
  const { data, isPending, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } =
    useConversations()

  if (isPending) {
    return (
      <div role="status" aria-label="Loading conversations" className="space-y-3 px-4 py-2">
        {[70, 52, 84, 60, 44].map((width) => (
          <div key={width} className="skeleton h-4" style={{ width: `${width}%` }} />
        ))}
      </div>
    )
  }
  // What is known stays, also when asking again has failed.
  if (data === undefined) {
    return (
      <div role="alert" className="px-4 py-2 text-label text-quiet">
        <p className="mb-2">The list could not be loaded. {error?.message}</p>
        <Button onClick={() => refetch()}>Retry</Button>
      </div>
    )
  }
  const conversations = data.pages.flatMap((page) => page.items)
  if (conversations.length === 0) {
    return <p className="px-4.5 py-2 text-label text-faint">None at hand. Begin one above.</p>
  }
  return (
    <ul
      className="space-y-px"
      onKeyDown={(event) => {
        if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
        if (!(event.target instanceof HTMLAnchorElement)) return
        event.preventDefault()
        moveFocus(event.currentTarget, event.key === 'ArrowDown' ? 1 : -1)
      }}
    >
      {conversations.map((conversation, index) => (
        <RailRow
          key={conversation.id}
          conversation={conversation}
          isAfterPinned={!conversation.pinned && conversations[index - 1]?.pinned === true}
          onOpened={onOpened}
        />
      ))}
      {hasNextPage && (
        <li className="px-4 py-2">
          <Button weight="text" onClick={() => fetchNextPage()} disabled={isFetchingNextPage}>
            {isFetchingNextPage ? 'Loading…' : 'Older conversations'}
          </Button>
        </li>
      )}
    </ul>
  )
}
