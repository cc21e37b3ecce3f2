import { Outlet } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { ApiError } from '../api/problems'
import { keep, useKept } from '../ui/kept'
import { useWide } from '../ui/useWide'
import { AwayBanner } from './AwayBanner'
import { LoginPage } from './LoginPage'
import { useMe } from './queries'
import { Rail } from './Rail'
import { RailControl } from './RailControl'
import { useNews } from './useNews'
import { useReach } from './useReach'

// Only a phone needs it, and only once it is opened.
const Sheet = lazy(() => import('../ui/Sheet').then(({ Sheet }) => ({ default: Sheet })))

function focusRail(): void {
  const link =
    document.querySelector<HTMLElement>('[data-rail-link][aria-current]') ??
    document.querySelector<HTMLElement>('[data-rail-link]')
  link?.focus()
}

/** Rail and page side by side; whom the server does not know sees only the way in. */
export function Shell() {
  const isWide = useWide()
  const isFolded = useKept('rail') === 'folded'
  const [isSheetOpen, setSheetOpen] = useState(false)
  const me = useMe()
  const reach = useReach()
  useNews()

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      if (isWide) keep('rail', null)
      else setSheetOpen(true)
      requestAnimationFrame(focusRail)
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [isWide])

  const isStranger = reach === 'stranger' || (me.error instanceof ApiError && me.error.status === 401)
  if (isStranger) return <LoginPage />

  const hasRail = isWide && !isFolded
  const openRail = () => (isWide ? keep('rail', null) : setSheetOpen(true))
  return (
    <RailControl.Provider value={{ isOpen: hasRail, open: openRail }}>
      <div className="flex h-dvh flex-col">
        <AwayBanner />
        <div className="flex min-h-0 flex-1">
          {hasRail && (
            <div className="flex w-(--rail) shrink-0 flex-col border-r border-rule bg-leaf">
              <Rail onFold={() => keep('rail', 'folded')} onOpened={() => {}} />
            </div>
          )}
          <main className="relative flex min-w-0 flex-1 flex-col">
            <Outlet />
          </main>
        </div>
        {!isWide && isSheetOpen && (
          <Suspense>
            <Sheet open onOpenChange={setSheetOpen} title="Conversations">
              <Rail onFold={() => setSheetOpen(false)} onOpened={() => setSheetOpen(false)} />
            </Sheet>
          </Suspense>
        )}
      </div>
    </RailControl.Provider>
  )
}
