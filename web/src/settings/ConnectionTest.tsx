import { useId } from 'react'
import type { Connection, Model } from '../api/types'
import { useModels } from '../connections/queries'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

const ABILITIES: Record<string, string> = {
  images: 'takes images',
  tools: 'calls tools',
  json: 'keeps to JSON',
  reasoning: 'thinks first',
}

/** How much a model holds and what it can do, as far as its provider tells. */
function toldModel(model: Model): string {
  const length = model.context_length ? [`${model.context_length.toLocaleString('en')} tokens`] : []
  const abilities = (model.abilities ?? []).map((each) => ABILITIES[each] ?? each)
  return [...length, ...abilities].join(' · ')
}

interface ConnectionTestProps {
  connection: Connection
  model: string
  onModel: (model: string) => void
  /** What is typed counts: it is stored before the connection is asked with it. */
  beforeTest: () => Promise<void>
}

/** Asks the connection for its models, which shows at once whether address and key are right. */
export function ConnectionTest({ connection, model, onModel, beforeTest }: ConnectionTestProps) {
  const models = useModels(connection.id)
  const list = useId()
  const found = models.data?.items ?? []

  const test = async () => {
    try {
      await beforeTest()
    } catch {
      return
    }
    models.mutate()
  }

  return (
    <div>
      <Field
        label="Model"
        value={model}
        onChange={onModel}
        list={found.length > 0 ? list : undefined}
        placeholder="its name"
      >
        <Button onClick={() => void test()} disabled={models.isPending}>
          {models.isPending ? 'Asking…' : 'Test connection'}
        </Button>
      </Field>
      <datalist id={list}>
        {found.map((each) => (
          <option key={each.id} value={each.id}>
            {each.name}
          </option>
        ))}
      </datalist>
      <div role="status" className="mt-1.5 text-label text-quiet">
        {models.isError && (
          <p>
            <strong className="font-semibold text-accent">No connection.</strong> {models.error.message}
          </p>
        )}
        {models.isSuccess && (
          <p>
            It answers
            {found.length === 0
              ? '.'
              : ` and offers ${found.length === 1 ? 'one model' : `${found.length} models`}:`}
          </p>
        )}
      </div>
      {found.length > 0 && (
        <ul className="mt-1 max-h-48 overflow-y-auto text-label">
          {found.map((each) => (
            <li key={each.id}>
              <button
                type="button"
                aria-pressed={each.id === model}
                onClick={() => onModel(each.id)}
                className="w-full truncate rounded-r-corner border-l-2 border-transparent px-2 py-1 text-left hover:bg-wash aria-pressed:border-accent aria-pressed:font-semibold"
              >
                {each.name}
                <span className="ml-2 text-note text-faint">{toldModel(each)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
