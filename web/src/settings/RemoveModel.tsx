import { useState } from 'react'
import type { LocalModel } from '../api/types'
import { useRemoveLocalModel } from '../connections/localModels'
import { sized } from '../ui/amounts'
import { Button } from '../ui/Button'
import { Question } from '../ui/Question'

/** Removes a model, or what came of one, after a question. */
export function RemoveModel({ model }: { model: LocalModel }) {
  const [isAsking, setAsking] = useState(false)
  const remove = useRemoveLocalModel()
  const { name, title, done, state } = model
  const isWhole = state === 'kept' || state === 'broken'
  const act = () => remove.mutate(name)
  return (
    <>
      <Button
        className="pointer-coarse:min-h-11"
        disabled={remove.isPending}
        // Of a download that failed with nothing to keep, only the message goes.
        onClick={() => (isWhole || done > 0 ? setAsking(true) : act())}
        aria-label={`Remove ${title}`}
      >
        {remove.isPending ? 'Removing…' : 'Remove'}
      </Button>
      {remove.isError && (
        <p role="alert" className="w-full text-label text-accent">
          Not removed. {remove.error.message}
        </p>
      )}
      {isAsking && (
        <Question
          title={`Remove ${title}?`}
          outcome={
            isWhole
              ? `It frees ${sized(done)}. Conversations that chose it need another model; their messages stay.`
              : `The ${sized(done)} that came are deleted, and the next download begins from nothing.`
          }
          yes="Remove it"
          onYes={act}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
