import { useMe } from '../account/useMe'
import { OpenRailButton } from '../app/OpenRailButton'
import { AccountSection } from './AccountSection'
import { ConnectionsSection } from './ConnectionsSection'
import { LocalModelsSection } from './LocalModelsSection'
import { LoginsSection } from './LoginsSection'
import { ThemeChoice } from './ThemeChoice'

export function SettingsPage() {
  const me = useMe()
  return (
    <>
      <title>Settings · Talekeeper</title>
      <header className="flex h-13 shrink-0 items-center gap-1 border-b border-rule px-2">
        <div className="w-10">
          <OpenRailButton />
        </div>
        <h1 className="flex-1 text-center font-tale text-label text-quiet italic">Settings</h1>
        <div className="w-10" />
      </header>
      <section
        aria-label="Settings"
        tabIndex={0}
        className="min-h-0 flex-1 overflow-y-auto -outline-offset-2"
      >
        <div className="column space-y-12 pt-9 pb-16">
          <ConnectionsSection />
          <LocalModelsSection />
          <ThemeChoice />
          <LoginsSection />
          <AccountSection name={me.data?.name ?? null} />
        </div>
      </section>
    </>
  )
}
