import { Outlet } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { useMe } from '../account/useMe'
import { ApiError } from '../api/problems'
import { contact } from '../api/reach'
import { useShortcuts } from '../keyboard/useShortcuts'
import { useStore } from '../stores/store'
import { Boundary } from '../ui/Boundary'
import { CannotBeShown } from '../ui/CannotBeShown'
import { keep, useKept } from '../ui/kept'
import { NoticeShelf } from '../ui/NoticeShelf'
import { said, takeBackLast } from '../ui/notices'
import { useWide } from '../ui/useWide'
import { AwayBanner } from './AwayBanner'
import { Rail } from './Rail'
import { RailControl } from './RailControl'
import { useNews } from './useNews'

// Fetched once they are wanted.
const Sheet = lazy(() => import('../ui/Sheet').then(({ Sheet }) => ({ default: Sheet })))
const LoginPage = lazy(() => import('./LoginPage').then(({ LoginPage }) => ({ default: LoginPage })))
const Switcher = lazy(() => import('./Switcher').then(({ Switcher }) => ({ default: Switcher })))
const ShortcutSheet = lazy(() =>
  import('../keyboard/ShortcutSheet').then(({ ShortcutSheet }) => ({ default: ShortcutSheet })),
)

/** Rail and page side by side; whom the server does not know sees only the way in. */
export function Shell() {
  const isWide = useWide()
  const isFolded = useKept('rail') === 'folded'
  const [isSheetOpen, setSheetOpen] = useState(false)
  const [over, setOver] = useState<'nothing' | 'switcher' | 'shortcuts'>('nothing')
  const me = useMe()
  const reach = useStore(contact).reach
  useNews()

  const isStranger = reach === 'stranger' || (me.error instanceof ApiError && me.error.status === 401)
  // What was just put away can be undone only where no sheet stands before the note that says so.
  const lastSaid = useStore(said).at(-1)?.id
  const [seenSaid, setSeenSaid] = useState(lastSaid)
  if (lastSaid !== seenSaid) {
    setSeenSaid(lastSaid)
    setSheetOpen(false)
  }

  const opens = (what: typeof over) => () => {
    setSheetOpen(false)
    setOver(what)
    return !isStranger
  }
  useShortcuts({ switcher: opens('switcher'), help: opens('shortcuts'), undo: takeBackLast })

  if (isStranger)
    return (
      <Suspense>
        <LoginPage />
      </Suspense>
    )

  const hasRail = isWide && !isFolded
  const openRail = () => (isWide ? keep('rail', null) : setSheetOpen(true))
  return (
    <RailControl.Provider value={{ isOpen: hasRail, open: openRail }}>
      <div className="flex h-dvh flex-col">
        <AwayBanner />
        <div className="flex min-h-0 flex-1">
          {hasRail && (
            <div className="flex w-(--rail) shrink-0 flex-col border-r border-rule bg-leaf">
              <Boundary of={null} fallback={(error) => <CannotBeShown what="The list" error={error} />}>
                <Rail onFold={() => keep('rail', 'folded')} onOpened={() => {}} onFind={opens('switcher')} />
              </Boundary>
            </div>
          )}
          <main className="relative flex min-w-0 flex-1 flex-col">
            <Outlet />
          </main>
        </div>
        {!isWide && isSheetOpen && (
          <Suspense>
            <Sheet open onOpenChange={setSheetOpen} title="Conversations">
              <Rail
                onFold={() => setSheetOpen(false)}
                onOpened={() => setSheetOpen(false)}
                onFind={opens('switcher')}
              />
            </Sheet>
          </Suspense>
        )}
        <Boundary of={over} fallback={() => null}>
          <Suspense>
            {over === 'switcher' && <Switcher onClose={() => setOver('nothing')} />}
            {over === 'shortcuts' && <ShortcutSheet onClose={() => setOver('nothing')} />}
          </Suspense>
        </Boundary>
        <NoticeShelf />
      </div>
    </RailControl.Provider>
  )
}
