import { useState } from 'react'
import type { FoundServer } from '../api/types'
import { useFound, useUseFound } from '../connections/found'
import { Button } from '../ui/Button'

/** The model servers that run on the machine of the server, each with one button to use it. */
export function FoundServers() {
  const found = useFound()
  const offers = (found.data?.items ?? []).filter((server) => !server.connected)
  if (offers.length === 0) return null
  return (
    <ul aria-label="Found on this machine" className="mb-5 space-y-3">
      {offers.map((server) => (
        <Offer key={server.base_url} server={server} />
      ))}
    </ul>
  )
}

function Offer({ server }: { server: FoundServer }) {
  const [model, setModel] = useState(server.models[0]?.id ?? null)
  const use = useUseFound()
  const count = server.models.length
  const models = count === 1 ? 'one model' : `${count} models`
  return (
    <li className="rounded-corner border border-edge bg-raised px-4 py-3">
      <p className="font-semibold">
        {server.title} is running here with {count === 0 ? 'no model yet' : models}.
      </p>
      {count === 0 && <p className="text-note text-faint">Load a model there, then reload this page.</p>}
      {count > 0 && (
        <div className="mt-2 flex flex-wrap items-center gap-2">
          <label className="flex min-w-0 flex-1 basis-48 items-center gap-2">
            <span className="sr-only">Model of {server.title}</span>
            <select
              value={model ?? ''}
              onChange={(event) => setModel(event.target.value)}
              className="min-w-0 flex-1 rounded-corner border border-edge bg-page px-2 py-1.5 text-label"
            >
              {server.models.map((each) => (
                <option key={each.id} value={each.id}>
                  {each.name}
                </option>
              ))}
            </select>
          </label>
          <Button
            weight="strong"
            disabled={use.isPending || model === null}
            onClick={() => model !== null && use.mutate({ server, model })}
            aria-label={`Use ${server.title}`}
          >
            {use.isPending ? 'Connecting…' : 'Use it'}
          </Button>
        </div>
      )}
      {use.isError && (
        <p role="alert" className="mt-1 text-label text-accent">
          Not connected. {use.error.message}
        </p>
      )}
    </li>
  )
}
