import { useLocalModels } from '../connections/localModels'
import { useConnections } from '../connections/queries'
import { Button } from '../ui/Button'
import { AddModel } from './AddModel'
import { LocalModelRow } from './LocalModelRow'
import { machineOf } from './localModels'

/** The models on the server's own machine, for administrators. */
export function LocalModelsSection() {
  const models = useLocalModels()
  const { data: connections } = useConnections()
  if (!models.isEnabled) return null
  const here = connections?.items.find((each) => each.kind === 'local')
  const chosen = here?.chosen ? (connections?.chosen.model ?? here.model) : undefined
  return (
    <section aria-labelledby="local-models">
      <h2 id="local-models" className="font-tale text-title">
        Models on this machine
      </h2>
      <p className="mt-1.5 mb-5 text-quiet">
        They answer without a key, and what you say stays here. The larger ones write better and slower. A
        download goes on when this page is closed. {models.data && machineOf(models.data)}
      </p>
      {models.isPending && (
        <div role="status" aria-label="Loading the models" className="space-y-4">
          {[48, 63, 55].map((width) => (
            <div key={width} className="skeleton h-5" style={{ width: `${width}%` }} />
          ))}
        </div>
      )}
      {models.isError && (
        <div role="alert" className="mb-3 text-quiet">
          <p className="mb-2">The models could not be loaded. {models.error.message}</p>
          <Button onClick={() => models.refetch()}>Retry</Button>
        </div>
      )}
      {models.data && (
        <>
          <ul className="mb-5 border-b border-rule">
            {models.data.items.map((model) => (
              <LocalModelRow
                key={model.name}
                model={model}
                connectionId={here?.id}
                isChosen={
                  chosen !== undefined && (chosen === null ? model.is_built_in : chosen === model.name)
                }
              />
            ))}
          </ul>
          <AddModel />
        </>
      )}
    </section>
  )
}
