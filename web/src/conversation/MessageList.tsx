import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { Button } from '../ui/Button'
import { Fleuron } from '../ui/Fleuron'
import { Row } from './Row'
import type { Line, View } from './view'

interface MessageListProps {
  view: View
  loadingOlder: boolean
  onOlder: () => void
}

/** How near the end one still counts as reading along. */
const NEAR_END = 60

function guessedHeight(line: Line | undefined): number {
  if (line === undefined) return 100
  const text = line.kind === 'said' ? line.text : line.entry.content
  return 80 + Math.ceil(text.length / 68) * 29
}

/** What stands at the end now; it differs once something was added below. */
function endOf(lines: readonly Line[]): string {
  const last = lines.at(-1)
  if (last === undefined) return ''
  return `${last.id}:${last.kind === 'said' ? last.text.length : 0}`
}

export function MessageList({ view, loadingOlder, onOlder }: MessageListProps) {
  const { lines } = view
  const scroller = useRef<HTMLElement>(null)
  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => guessedHeight(lines[index]),
    getItemKey: (index) => lines[index]?.id ?? index,
    overscan: 6,
    gap: 22,
    paddingStart: 72,
    paddingEnd: 28,
    // Reading places hold while older messages come in above, and the end is followed from the end only.
    anchorTo: 'end',
    followOnAppend: true,
    scrollEndThreshold: NEAR_END,
  })
  const rows = virtualizer.getVirtualItems()

  useLayoutEffect(() => virtualizer.scrollToEnd(), [virtualizer])

  const first = rows[0]?.index ?? 0
  const wantsOlder = view.older !== null && !loadingOlder && first < 4
  useEffect(() => {
    if (wantsOlder) onOlder()
  }, [wantsOlder, onOlder])

  const sending = lines.findLast((line) => line.kind === 'outgoing')?.id
  useEffect(() => {
    if (sending !== undefined) virtualizer.scrollToEnd()
  }, [sending, virtualizer])

  const end = endOf(lines)
  const [seenEnd, setSeenEnd] = useState(end)
  const isAtEnd = virtualizer.isAtEnd(NEAR_END)
  if (isAtEnd && seenEnd !== end) setSeenEnd(end)

  return (
    <div className="relative min-h-0 flex-1">
      <section
        ref={scroller}
        aria-label="Messages"
        tabIndex={0}
        className="h-full overflow-y-auto overscroll-contain -outline-offset-2 [overflow-anchor:none]"
      >
        <div className="relative" style={{ height: virtualizer.getTotalSize() }}>
          <div className="absolute inset-x-0 top-0 grid h-18 place-items-center text-sm text-faint">
            {view.older === null ? <Fleuron /> : <span role="status">Loading older messages…</span>}
          </div>
          {rows.map((row) => {
            const line = lines[row.index]
            return (
              line !== undefined && (
                <div
                  key={row.key}
                  data-index={row.index}
                  ref={virtualizer.measureElement}
                  className="absolute inset-x-0 top-0"
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <div className="column">
                    <Row line={line} isLast={row.index === lines.length - 1} />
                  </div>
                </div>
              )
            )
          })}
        </div>
      </section>
      {!isAtEnd && seenEnd !== end && (
        <div className="pointer-events-none absolute inset-x-0 bottom-3 grid place-items-center">
          <Button className="pointer-events-auto bg-raised" onClick={() => virtualizer.scrollToEnd()}>
            <ArrowDown size={15} aria-hidden="true" />
            New text below
          </Button>
        </div>
      )}
    </div>
  )
}
