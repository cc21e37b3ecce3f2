import { useId, useState } from 'react'
import { newId } from '../api/ids'
import type { Preset } from '../api/types'
import { useAddConnection, usePresets } from '../connections/queries'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Modal } from '../ui/Modal'
import { mendedAddress } from './address'

interface AddConnectionProps {
  onAdded: (id: string) => void
  onClose: () => void
}

const keyOf = (preset: Preset) => `${preset.kind} ${preset.preset ?? ''} ${preset.base_url ?? ''}`

/** One more way to reach models: from a preset, or at any address. */
export function AddConnection({ onAdded, onClose }: AddConnectionProps) {
  const [id] = useState(newId)
  const [picked, setPicked] = useState<Preset | null>(null)
  const [name, setName] = useState('')
  const [baseUrl, setBaseUrl] = useState('')
  const [key, setKey] = useState('')
  const presets = usePresets()
  const add = useAddConnection()
  const select = useId()
  const items = presets.data?.items ?? []
  const groups: Array<[string, Preset[]]> = [
    ['In the cloud', items.filter((each) => each.remote && each.base_url !== null)],
    ['On the machine of the server', items.filter((each) => !each.remote)],
    ['Elsewhere', items.filter((each) => each.base_url === null)],
  ]

  const pick = (value: string) => {
    const preset = items.find((each) => keyOf(each) === value) ?? null
    setPicked(preset)
    setBaseUrl(preset?.base_url ?? '')
  }

  const submit = async () => {
    if (picked === null) return
    // Said before it is there, so that its line opens with its settings.
    onAdded(id)
    await add.mutateAsync({
      id,
      kind: picked.kind,
      preset: picked.preset,
      name: name.trim() || null,
      base_url: mendedAddress(baseUrl) || null,
      api_key: key.trim() || null,
    })
    onClose()
  }

  return (
    <Modal title="Add a connection" onClose={onClose}>
      <form
        className="space-y-4 overflow-y-auto px-5 py-4"
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void submit().catch(() => {})
        }}
      >
        <div>
          <label htmlFor={select} className="mb-1 block text-label text-quiet">
            To what
          </label>
          <select
            id={select}
            value={picked === null ? '' : keyOf(picked)}
            onChange={(event) => pick(event.target.value)}
            className="w-full rounded-corner border border-edge bg-raised px-2 py-1.5"
          >
            <option value="" disabled>
              {presets.isPending ? 'Loading…' : 'Choose one'}
            </option>
            {groups.map(([title, group]) => (
              <optgroup key={title} label={title}>
                {group.map((preset) => (
                  <option key={keyOf(preset)} value={keyOf(preset)}>
                    {preset.base_url === null ? 'Any server that speaks OpenAI’s language' : preset.title}
                  </option>
                ))}
              </optgroup>
            ))}
          </select>
          {presets.isError && (
            <p role="alert" className="mt-1 text-note text-accent">
              The list could not be loaded. {presets.error.message}
            </p>
          )}
        </div>
        {picked !== null && (
          <>
            <Field
              label="Name"
              value={name}
              onChange={setName}
              placeholder={picked.base_url === null ? 'as its address' : picked.title}
              note="How you tell it from your other connections."
            />
            <Field
              label="Base URL"
              value={baseUrl}
              onChange={setBaseUrl}
              onBlur={() => setBaseUrl(mendedAddress(baseUrl))}
              type="url"
              placeholder="https://api.example.com/v1"
            />
            <Field
              label={picked.needs_key ? 'API key' : 'API key, if it asks for one'}
              value={key}
              onChange={setKey}
              type="password"
              placeholder="none"
            />
          </>
        )}
        <p role="alert" className="text-label text-accent empty:hidden">
          {add.isError && `Not added. ${add.error.message}`}
        </p>
        <div className="flex flex-wrap justify-end gap-2">
          <Button className="pointer-coarse:min-h-11" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            weight="strong"
            className="pointer-coarse:min-h-11"
            disabled={picked === null || baseUrl.trim() === '' || add.isPending}
          >
            {add.isPending ? 'Adding…' : 'Add'}
          </Button>
        </div>
      </form>
    </Modal>
  )
}
