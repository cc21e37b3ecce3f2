import { getRouteApi } from '@tanstack/react-router'
import { ChevronDown, Search } from 'lucide-react'
import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { isLimit } from '../api/problems'
import { Button } from '../ui/Button'
import { Empty } from '../ui/Empty'
import { ListFailed } from '../ui/ListFailed'
import { ListLoading } from '../ui/ListLoading'
import { PageFrame } from '../ui/PageFrame'
import { searchable } from '../writing/keepable'
import { mended } from '../writing/mending'
import { askedAt, narrowings, type SearchPlace } from './asking'
import { HitRow } from './HitRow'
import { Narrowing } from './Narrowing'
import { SearchLimit } from './SearchLimit'
import { useDebounced } from './useDebounced'
import { useSearch } from './useSearch'

const route = getRouteApi('/search')

/** The arrows go from the field through what was found and back. */
function moveAmong(page: HTMLElement, field: HTMLElement | null, event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step === undefined) return
  const stops = [field, ...page.querySelectorAll<HTMLElement>('[data-hit]')]
  const at = stops.indexOf(document.activeElement as HTMLElement)
  const next = at < 0 ? undefined : stops[at + step]
  if (!next) return
  event.preventDefault()
  next.focus()
}

/** Everything that was ever said, on every branch, but for what is in the trash. */
export function SearchPage() {
  const place = route.useSearch()
  const navigate = route.useNavigate()
  const [typed, setTyped] = useState(place.q ?? '')
  const [isNarrowing, setNarrowing] = useState(narrowings(place) > 0)
  const field = useRef<HTMLInputElement>(null)
  const still = useDebounced(typed, 200)
  const asked = askedAt(place)
  const search = useSearch(asked)
  const change = (more: Partial<SearchPlace>) =>
    void navigate({ search: (before) => ({ ...before, ...more }), replace: true })

  // The address follows what is typed, so that one comes back to it.
  useEffect(() => {
    void navigate({ search: (before) => ({ ...before, q: still.trim() || undefined }), replace: true })
  }, [still, navigate])

  const hits = search.data?.pages.flatMap((page) => page.items) ?? []
  const isBehind = search.data?.pages.some((page) => page.behind) ?? false
  const isPartial = search.hasNextPage && (search.data?.pages.at(-1)?.is_partial ?? false)
  const narrowed = narrowings(place)

  return (
    <PageFrame title="Search">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the arrows only carry the focus on */}
      <div onKeyDown={(event) => moveAmong(event.currentTarget, field.current, event)}>
        <search>
          <div className="flex items-center gap-2.5 rounded-corner border border-edge bg-raised pl-3 focus-within:border-accent focus-within:outline focus-within:outline-accent/40">
            <Search size={17} strokeWidth={1.75} className="shrink-0 text-faint" aria-hidden="true" />
            <input
              ref={field}
              // biome-ignore lint/a11y/noAutofocus: the page is for typing here
              autoFocus
              type="search"
              aria-label="Words that were said"
              value={typed}
              onChange={(event) => setTyped(mended(event.target, searchable))}
              placeholder="Words that were said"
              dir="auto"
              autoComplete="off"
              spellCheck={false}
              enterKeyHint="search"
              className="min-w-0 flex-1 bg-transparent py-2.5 pr-3 text-reading outline-none!"
            />
          </div>
          <button
            type="button"
            aria-expanded={isNarrowing}
            onClick={() => setNarrowing(!isNarrowing)}
            className="mt-2 inline-flex items-center gap-1 rounded-corner py-1 text-label text-quiet hover:text-ink pointer-coarse:min-h-11"
          >
            <ChevronDown
              size={16}
              aria-hidden="true"
              className={`text-faint transition-transform ${isNarrowing ? '' : '-rotate-90'}`}
            />
            Narrow{narrowed > 0 && ` (${narrowed})`}
          </button>
          {isNarrowing && <Narrowing place={place} onChange={change} />}
        </search>

        {isBehind && (
          <p className="mt-4 border-l-2 border-accent bg-leaf py-1.5 pl-3 text-label text-quiet">
            Some of what was said is still being indexed, and may be missing here for a moment.
          </p>
        )}
        <p role="status" className="sr-only">
          {asked.q !== '' && search.isSuccess && !search.isPlaceholderData
            ? `${hits.length}${search.hasNextPage ? ' or more' : ''} found.`
            : ''}
        </p>
        {search.isFetching && isLimit(search.failureReason) && <SearchLimit problem={search.failureReason} />}
        {asked.q === '' ? (
          <Empty>
            A name, a place, half a sentence: all that was ever said is found here, on every branch, in every
            script.
          </Empty>
        ) : search.isError ? (
          <ListFailed
            words="What was said could not be searched."
            problem={search.error.message}
            onRetry={() => void search.refetch()}
          />
        ) : search.isPending ? (
          <ListLoading label="Searching" />
        ) : hits.length === 0 && !search.hasNextPage ? (
          <Empty>
            Nothing that was said has “{asked.q}” in it
            {narrowed > 0 ? ', where the search is narrowed to' : ''}.
          </Empty>
        ) : (
          <>
            {isPartial && (
              <p className="mt-4 text-label text-quiet">
                Only the newest texts were looked through so far
                {hits.length === 0 ? ', and none of them has it' : ''}.
              </p>
            )}
            <ol
              aria-label="What was found"
              aria-busy={search.isPlaceholderData}
              className={`mt-5 border-rule ${hits.length > 0 ? 'border-b' : ''} ${search.isPlaceholderData ? 'opacity-60' : ''}`}
            >
              {hits.map((hit) => (
                <HitRow key={hit.message.id} hit={hit} />
              ))}
            </ol>
            {search.hasNextPage && (
              <Button
                className="mt-5"
                disabled={search.isFetchingNextPage}
                onClick={() => void search.fetchNextPage()}
              >
                {search.isFetchingNextPage ? 'Looking…' : isPartial ? 'Look further back' : 'Older places'}
              </Button>
            )}
          </>
        )}
      </div>
    </PageFrame>
  )
}
