import { Plus } from 'lucide-react'
import { useState } from 'react'
import { useConnections } from '../connections/queries'
import { Button } from '../ui/Button'
import { AddConnection } from './AddConnection'
import { ConnectionEntry } from './ConnectionEntry'
import { ConnectionsLoading } from './ConnectionsLoading'
import { FoundServers } from './FoundServers'

/** Every way to reach models, and which one answers by default. */
export function ConnectionsSection() {
  const connections = useConnections()
  const [isAdding, setAdding] = useState(false)
  const [added, setAdded] = useState<string | null>(null)
  const items = connections.data?.items ?? []
  const hasChosen = items.some((each) => each.chosen)
  return (
    <section aria-labelledby="connections">
      <h2 id="connections" className="font-tale text-title">
        Connections
      </h2>
      <p className="mt-1.5 mb-5 text-quiet">
        Who answers, and how they are reached. Nothing is sent to anybody you did not choose here. A key goes
        to the server and never comes back out of it.
      </p>
      <FoundServers />
      <ConnectionsLoading query={connections} />
      {connections.data && (
        <>
          {!hasChosen && (
            <p role="status" className="mb-3 text-accent">
              The connection that answered by default has been removed. Choose another.
            </p>
          )}
          <ul aria-label="Connections" className="border-b border-rule">
            {items.map((connection) => (
              <ConnectionEntry
                key={connection.id}
                connection={connection}
                chosen={connections.data.chosen}
                startsOpen={connection.id === added}
              />
            ))}
          </ul>
          <Button className="mt-4" onClick={() => setAdding(true)}>
            <Plus size={16} aria-hidden="true" /> Add a connection
          </Button>
        </>
      )}
      {isAdding && <AddConnection onAdded={setAdded} onClose={() => setAdding(false)} />}
    </section>
  )
}
