import { useVirtualizer } from '@tanstack/react-virtual'
import { Bookmark, ChevronDown, ChevronRight, TriangleAlert } from 'lucide-react'
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react'
import { counted } from '../ui/amounts'
import { Pilcrow } from '../ui/Pilcrow'
import { foldedTree, type MapRow, pathIn, type TreeNode } from './folding'

interface BranchMapProps {
  nodes: ReadonlyMap<string, TreeNode>
  /** The end of the branch that is read. */
  tip: string | null
  onJump: (id: string) => void
}

/** Further in than this the map would be all margin. */
const DEEPEST = 7

const isCoarse = () => typeof matchMedia === 'function' && matchMedia('(pointer: coarse)').matches

function named(row: MapRow, tip: string | null): string {
  if (row.kind === 'run') return `${counted(row.count, 'message')} in a row`
  const { node, place, siblings } = row
  return [
    `${node.role === 'user' ? 'You' : node.role === 'assistant' ? 'Reply' : 'Note'}: ${node.words || 'no words'}`,
    siblings > 1 && `branch ${place} of ${siblings}`,
    node.bookmark !== null && (node.bookmark === '' ? 'bookmarked' : `bookmarked: ${node.bookmark}`),
    node.id === tip && 'you are here',
  ]
    .filter(Boolean)
    .join(', ')
}

function MessageWords({ row, isHere }: { row: Extract<MapRow, { kind: 'message' }>; isHere: boolean }) {
  const { node, place, siblings } = row
  const isOwn = node.role === 'user'
  return (
    <>
      <span className="grid w-4 shrink-0 place-items-center">
        {isOwn ? (
          <Pilcrow className="h-3" />
        ) : (
          node.status === 'failed' && <TriangleAlert size={13} className="text-accent" aria-hidden="true" />
        )}
      </span>
      <span dir="auto" className={`min-w-0 flex-1 truncate font-tale ${isOwn ? '' : 'italic'}`}>
        {node.words || '(no words)'}
      </span>
      {node.bookmark !== null && (
        <Bookmark size={13} className="shrink-0 fill-current text-accent" aria-hidden="true" />
      )}
      {siblings > 1 && (
        <span className="shrink-0 text-caption text-faint">
          {place}/{siblings}
        </span>
      )}
      {isHere && <span className="small-caps shrink-0 text-caption text-accent">here</span>}
    </>
  )
}

/** The whole tree, compactly; the path one reads is marked, and every line leads to its message. */
export function BranchMap({ nodes, tip, onJump }: BranchMapProps) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const [chosen, setChosen] = useState<string | null>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const id = useId()
  const path = useMemo(() => pathIn(nodes, tip), [nodes, tip])
  const rows = useMemo(() => foldedTree(nodes, path, opened), [nodes, path, opened])
  const height = isCoarse() ? 44 : 30
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 10,
    paddingEnd: 12,
  })

  const here = rows.findIndex((row) => row.kind === 'message' && row.node.id === tip)
  const chosenAt = rows.findIndex((row) => row.key === chosen)
  const at = chosenAt >= 0 ? chosenAt : Math.max(here, 0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: only another place of the reader scrolls
  useEffect(() => {
    if (here >= 0) virtualizer.scrollToIndex(here, { align: 'center' })
  }, [tip, here >= 0])

  const choose = (index: number) => {
    const row = rows[Math.max(0, Math.min(index, rows.length - 1))]
    if (row === undefined) return
    setChosen(row.key)
    virtualizer.scrollToIndex(rows.indexOf(row), { align: 'auto' })
  }
  const toggle = (run: string, open: boolean) => {
    const next = new Set(opened)
    if (open) next.add(run)
    else next.delete(run)
    setOpened(next)
    setChosen(open ? run : `run:${run}`)
  }
  const enter = (row: MapRow | undefined) => {
    if (row === undefined) return
    if (row.kind === 'run') toggle(row.run, true)
    else {
      setChosen(row.key)
      onJump(row.node.id)
    }
  }

  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[at]
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / height) - 1)
    const steps: Record<string, () => void> = {
      ArrowDown: () => choose(at + 1),
      ArrowUp: () => choose(at - 1),
      PageDown: () => choose(at + page),
      PageUp: () => choose(at - page),
      Home: () => choose(0),
      End: () => choose(rows.length - 1),
      Enter: () => enter(row),
      ' ': () => enter(row),
      ArrowRight: () => (row?.kind === 'run' ? toggle(row.run, true) : choose(at + 1)),
      ArrowLeft: () => {
        if (row?.kind === 'message' && row.run !== null) toggle(row.run, false)
        else choose(rows.findLastIndex((each, index) => index < at && each.depth < (row?.depth ?? 0)))
      },
    }
    const step = steps[event.key]
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    step()
  }

  const active = rows[at]
  return (
    <div
      ref={scroller}
      role="tree"
      aria-label="Map of branches"
      tabIndex={0}
      aria-activedescendant={active === undefined ? undefined : `${id}-${active.key}`}
      onKeyDown={onKeyDown}
      className="peer group/tree min-h-0 flex-1 overflow-y-auto overscroll-contain -outline-offset-2"
    >
      <div role="none" className="relative" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map(({ index, start, size, key }) => {
          const row = rows[index]
          if (row === undefined) return null
          const isHere = row.kind === 'message' && row.node.id === tip
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the tree's
            <div
              key={key}
              id={`${id}-${row.key}`}
              role="treeitem"
              tabIndex={-1}
              aria-level={row.depth + 1}
              aria-selected={index === at}
              aria-current={isHere ? 'true' : undefined}
              aria-expanded={row.kind === 'run' ? false : undefined}
              aria-setsize={rows.length}
              aria-posinset={index + 1}
              aria-label={named(row, tip)}
              title={row.kind === 'message' ? row.node.bookmark || undefined : undefined}
              onClick={() => enter(row)}
              className={`absolute inset-x-0 top-0 flex cursor-pointer items-center gap-1.5 border-l-2 pr-3 text-label hover:bg-wash ${row.isOnPath ? 'border-accent text-ink' : 'border-transparent text-quiet'} ${index === at ? 'group-focus-visible/tree:bg-wash group-focus-visible/tree:outline group-focus-visible/tree:-outline-offset-1 group-focus-visible/tree:outline-accent' : ''}`}
              style={{
                height: size,
                transform: `translateY(${start}px)`,
                paddingLeft: `${0.5 + Math.min(row.depth, DEEPEST) * 0.9}rem`,
              }}
            >
              {row.kind === 'run' ? (
                <>
                  <ChevronRight size={14} className="w-4 shrink-0 text-faint" aria-hidden="true" />
                  <span className="text-note text-faint">{counted(row.count, 'message')}</span>
                </>
              ) : (
                <>
                  {row.run === row.node.id && (
                    <ChevronDown size={14} className="-mr-1 shrink-0 text-faint" aria-hidden="true" />
                  )}
                  <MessageWords row={row} isHere={isHere} />
                </>
              )}
            </div>
          )
        })}
      </div>
    </div>
  )
}
