import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { Button } from '../ui/Button'
import { Fleuron } from '../ui/Fleuron'
import { Row } from './Row'
import type { ConversationRuntime } from './runtime'
import type { Snapshot } from './screen'
import type { Line } from './view'

interface MessageListProps extends Pick<Snapshot, 'view' | 'loadingOlder' | 'loadingNewer' | 'target'> {
  runtime: ConversationRuntime
}

/** How near the end one still counts as reading along. */
const NEAR_END = 60
/** Milliseconds for which the message one came for is marked. */
const MARKED = 3500

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

export function MessageList({ view, loadingOlder, loadingNewer, target, runtime }: MessageListProps) {
  const { lines } = view
  const scroller = useRef<HTMLElement>(null)
  // What is added under a stretch far above the end is read when one comes to it, not run after.
  const isStretch = view.newer !== null
  const wasStretch = useRef(isStretch)
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
    followOnAppend: !isStretch && !wasStretch.current,
    scrollEndThreshold: NEAR_END,
    // As high as they were: what is above the place where one left has not changed.
    initialMeasurementsCache: runtime.reading.place?.rows ?? [],
  })
  const rows = virtualizer.getVirtualItems()
  useLayoutEffect(() => {
    wasStretch.current = isStretch
  })

  // Whoever comes back reads on where he left; whoever was at the end, at the end.
  const known = useRef(lines)
  known.current = lines
  useLayoutEffect(() => {
    const place = runtime.reading.place
    const isThere = known.current.some((line) => line.id === place?.id)
    if (place === null || !isThere) virtualizer.scrollToEnd()
    else virtualizer.scrollToOffset(place.offset)
  }, [virtualizer, runtime])

  const first = rows[0]?.index ?? 0
  const last = rows.at(-1)?.index ?? 0
  const wantsOlder = view.older !== null && !loadingOlder && first < 4
  const wantsNewer = isStretch && !loadingNewer && last > lines.length - 4
  // After every drawing: lines that have just come are first drawn where one was before them.
  useEffect(() => {
    const element = scroller.current
    if (element === null || !(wantsOlder || wantsNewer)) return
    const { scrollTop, scrollHeight, clientHeight } = element
    if (wantsOlder && scrollTop < 2 * clientHeight) void runtime.reading.loadOlder()
    if (wantsNewer && scrollHeight - scrollTop < 2 * clientHeight) void runtime.reading.loadNewer()
  })

  const sending = lines.findLast((line) => line.kind === 'outgoing')?.id
  useEffect(() => {
    if (sending !== undefined) virtualizer.scrollToEnd()
  }, [sending, virtualizer])

  // Somebody came for one message.
  const aim = target === null ? null : `${target.id} ${target.count}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is loaded later does not scroll again
  useLayoutEffect(() => {
    const index = target === null ? -1 : lines.findIndex((line) => line.id === target.id)
    if (index < 0) return
    virtualizer.scrollToIndex(index, { align: 'center' })
    const timer = setTimeout(() => runtime.reading.forgetTarget(), MARKED)
    return () => clearTimeout(timer)
  }, [aim, virtualizer, runtime])

  // Back to the end, once it is on screen.
  const wantsEnd = useRef(false)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the end comes with other lines
  useLayoutEffect(() => {
    if (!wantsEnd.current || isStretch) return
    wantsEnd.current = false
    virtualizer.scrollToEnd()
  }, [lines, isStretch, virtualizer])
  const goToEnd = () => {
    wantsEnd.current = isStretch
    if (isStretch) runtime.reading.goToEnd()
    else virtualizer.scrollToEnd()
  }

  // What comes up below (a note, a phone's keyboard) leaves whoever reads at the end there.
  const wasAtEnd = useRef(true)
  useEffect(() => {
    const element = scroller.current
    if (element === null || typeof ResizeObserver === 'undefined') return
    const observer = new ResizeObserver(() => wasAtEnd.current && virtualizer.scrollToEnd())
    observer.observe(element)
    return () => observer.disconnect()
  }, [virtualizer])

  const end = endOf(lines)
  const [seenEnd, setSeenEnd] = useState(end)
  const isAtEnd = virtualizer.isAtEnd(NEAR_END)
  useEffect(() => {
    const offset = virtualizer.scrollOffset
    if (offset === null || scroller.current === null) return
    const row = virtualizer.getVirtualItemForOffset(offset)
    const line = row === undefined ? undefined : known.current[row.index]
    runtime.reading.place =
      isAtEnd || line === undefined ? null : { id: line.id, offset, rows: virtualizer.takeSnapshot() }
  })
  if (isAtEnd && seenEnd !== end) setSeenEnd(end)
  useEffect(() => {
    wasAtEnd.current = isAtEnd && !isStretch
  })
  const hasMoreBelow = isStretch || (!isAtEnd && seenEnd !== end)

  return (
    <div className="relative min-h-0 flex-1">
      <section
        ref={scroller}
        data-scroller
        aria-label="Messages"
        tabIndex={0}
        className="h-full overflow-y-auto overscroll-contain -outline-offset-2 [overflow-anchor:none]"
      >
        <div className="relative" style={{ height: virtualizer.getTotalSize() }}>
          <div className="absolute inset-x-0 top-0 grid h-18 place-items-center text-note text-faint">
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
                  className={`absolute inset-x-0 top-0 ${line.id === target?.id ? 'sought' : ''}`}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <div className="column">
                    <Row
                      line={line}
                      isLast={row.index === lines.length - 1}
                      isUnanswered={view.unanswered.has(line.id)}
                    />
                  </div>
                </div>
              )
            )
          })}
        </div>
      </section>
      {hasMoreBelow && (
        <div className="pointer-events-none absolute inset-x-0 bottom-3 grid place-items-center">
          <Button className="pointer-events-auto bg-raised pointer-coarse:min-h-11" onClick={goToEnd}>
            <ArrowDown size={15} aria-hidden="true" />
            {isStretch ? 'To the newest messages' : 'New text below'}
          </Button>
        </div>
      )}
    </div>
  )
}
