import { useId } from 'react'
import { Button } from '../ui/Button'
import { narrowings, PURPOSES, type SearchPlace } from './asking'

interface NarrowingProps {
  place: SearchPlace
  onChange: (change: Partial<SearchPlace>) => void
}

const control =
  'mt-1 block w-full rounded-corner border border-edge bg-raised px-2.5 py-1.5 text-ink pointer-coarse:min-h-11'

/** Who said it, when, and where. */
export function Narrowing({ place, onChange }: NarrowingProps) {
  const id = useId()
  return (
    <fieldset className="mt-3 grid grid-cols-2 gap-x-5 gap-y-3 border-l-2 border-rule pl-4 text-label text-quiet">
      <legend className="sr-only">Narrow the search</legend>
      <label>
        Who said it
        <select
          value={place.role ?? ''}
          onChange={(event) => onChange({ role: (event.target.value || undefined) as SearchPlace['role'] })}
          className={control}
        >
          <option value="">Anybody</option>
          <option value="user">You</option>
          <option value="assistant">The AI</option>
        </select>
      </label>
      <label>
        Purpose
        <select
          value={place.purpose ?? ''}
          onChange={(event) =>
            onChange({ purpose: (event.target.value || undefined) as SearchPlace['purpose'] })
          }
          className={control}
        >
          <option value="">Any</option>
          {Object.entries(PURPOSES).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label htmlFor={`${id}-from`}>
        From
        <input
          id={`${id}-from`}
          type="date"
          value={place.from ?? ''}
          max={place.to}
          onChange={(event) => onChange({ from: event.target.value || undefined })}
          className={control}
        />
      </label>
      <label htmlFor={`${id}-to`}>
        To
        <input
          id={`${id}-to`}
          type="date"
          value={place.to ?? ''}
          min={place.from}
          onChange={(event) => onChange({ to: event.target.value || undefined })}
          className={control}
        />
      </label>
      <label className="flex items-center gap-2.5 pointer-coarse:min-h-11">
        <input
          type="checkbox"
          className="accent-accent"
          checked={place.archived !== 'no'}
          onChange={(event) => onChange({ archived: event.target.checked ? undefined : 'no' })}
        />
        The archive too
      </label>
      {narrowings(place) > 0 && (
        <Button
          weight="text"
          className="justify-self-start pointer-coarse:min-h-11"
          onClick={() =>
            onChange({
              role: undefined,
              purpose: undefined,
              from: undefined,
              to: undefined,
              archived: undefined,
            })
          }
        >
          Search everything again
        </Button>
      )}
    </fieldset>
  )
}
