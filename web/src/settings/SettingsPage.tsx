import { useMe } from '../account/useMe'
import { OpenRailButton } from '../app/OpenRailButton'
import { useProviders } from '../providers/queries'
import { AccountSection } from './AccountSection'
import { FoundServers } from './FoundServers'
import { LoginsSection } from './LoginsSection'
import { ProviderEntry } from './ProviderEntry'
import { ProvidersLoading } from './ProvidersLoading'
import { ThemeChoice } from './ThemeChoice'

export function SettingsPage() {
  const providers = useProviders()
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
          <section aria-labelledby="models">
            <h2 id="models" className="font-tale text-title">
              Who answers
            </h2>
            <p className="mt-1.5 mb-5 text-quiet">
              Nothing is sent to anybody you did not choose here. A key goes to the server and never comes
              back out of it.
            </p>
            <FoundServers />
            <ProvidersLoading query={providers} />
            {providers.data && (
              <ul className="border-b border-rule">
                {providers.data.items.map((provider) => (
                  <ProviderEntry key={provider.name} provider={provider} chosen={providers.data.chosen} />
                ))}
              </ul>
            )}
          </section>
          <ThemeChoice />
          <LoginsSection />
          <AccountSection name={me.data?.name ?? null} />
        </div>
      </section>
    </>
  )
}
