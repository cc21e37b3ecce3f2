import { useState } from 'react'
import { useAddLocalModel } from '../connections/localModels'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

/** Adds a model that is not in the list. */
export function AddModel() {
  const [source, setSource] = useState('')
  const add = useAddLocalModel()
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        if (source.trim() !== '') add.mutate(source.trim(), { onSuccess: () => setSource('') })
      }}
    >
      <Field
        label="Another GGUF model"
        value={source}
        onChange={setSource}
        placeholder="https://…/model.gguf"
        note="The address of a .gguf file, or its path on the server's machine. Add only what you trust."
      >
        <Button type="submit" disabled={add.isPending || source.trim() === ''}>
          {add.isPending ? 'Adding…' : 'Add'}
        </Button>
      </Field>
      {add.isError && (
        <p role="alert" className="mt-1 text-label text-accent">
          Not added. {add.error.message}
        </p>
      )}
    </form>
  )
}
