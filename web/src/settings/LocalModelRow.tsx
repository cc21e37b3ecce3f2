import { Check } from 'lucide-react'
import type { LocalModel } from '../api/types'
import { useAddLocalModel, useStopLocalModel } from '../connections/localModels'
import { useChooseConnection } from '../connections/queries'
import { Button } from '../ui/Button'
import { factsOfModel, progressOf, sourceOf } from './localModels'
import { RemoveModel } from './RemoveModel'

interface LocalModelRowProps {
  model: LocalModel
  /** The id of the connection to this machine's models. */
  connectionId: string | undefined
  isChosen: boolean
}

const ADDS = { offered: 'Download', stopped: 'Go on', failed: 'Try again' } as const

/** One model: what it takes, how far it is, and what can be done with it. */
export function LocalModelRow({ model, connectionId, isChosen }: LocalModelRowProps) {
  const add = useAddLocalModel()
  const stop = useStopLocalModel()
  const choose = useChooseConnection()
  const { name, title, state, done, size, trouble } = model
  const progress = progressOf(model)
  const verb = state === 'offered' || state === 'stopped' || state === 'failed' ? ADDS[state] : null
  const isUnderWay = progress !== null && state !== 'stopped'
  const failure = add.error ?? stop.error ?? choose.error

  return (
    <li className="border-t border-rule py-3">
      <div className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1.5">
        <div className="min-w-0 flex-1 basis-60">
          <p className="font-semibold wrap-anywhere">{title}</p>
          <p className="text-note text-faint">{factsOfModel(model).join(' · ')}</p>
        </div>
        <div className="flex flex-wrap gap-2">
          {isChosen && (
            <span className="inline-flex items-center gap-1.5 py-1.5 text-label text-accent">
              <Check size={16} aria-hidden="true" /> Answers by default
            </span>
          )}
          {state === 'kept' && !isChosen && connectionId !== undefined && (
            <Button
              className="pointer-coarse:min-h-11"
              disabled={choose.isPending}
              onClick={() => choose.mutate({ id: connectionId, model: name })}
              aria-label={`Let ${title} answer by default`}
            >
              Choose
            </Button>
          )}
          {verb !== null && (
            <Button
              className="pointer-coarse:min-h-11"
              disabled={add.isPending}
              onClick={() => add.mutate(sourceOf(model))}
              aria-label={`${verb}: ${title}`}
            >
              {verb}
            </Button>
          )}
          {isUnderWay && (
            <Button
              className="pointer-coarse:min-h-11"
              disabled={stop.isPending}
              onClick={() => stop.mutate(name)}
              aria-label={`Stop adding ${title}`}
            >
              Stop
            </Button>
          )}
          {!model.is_built_in && !isUnderWay && state !== 'offered' && <RemoveModel model={model} />}
        </div>
      </div>
      {progress !== null && (
        <div className="mt-1.5">
          {state !== 'waiting' && (
            <progress
              aria-label={`Adding ${title}`}
              className="model-progress block h-1.5 w-full"
              max={size ?? undefined}
              value={size && state !== 'trying' ? done : undefined}
            />
          )}
          <p className="mt-1 text-note text-quiet">{progress}</p>
        </div>
      )}
      {trouble !== null && (
        <p role="alert" className="mt-1 text-label text-accent wrap-anywhere">
          {trouble}
        </p>
      )}
      {failure !== null && (
        <p role="alert" className="mt-1 text-label text-accent">
          {failure.message}
        </p>
      )}
    </li>
  )
}
