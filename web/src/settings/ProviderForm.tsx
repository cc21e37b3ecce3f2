import { useState } from 'react'
import type { Provider, ProviderChange } from '../api/types'
import { useChangeProvider } from '../app/queries'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { ConnectionTest } from './ConnectionTest'

export function ProviderForm({ provider }: { provider: Provider }) {
  const [baseUrl, setBaseUrl] = useState(provider.base_url ?? '')
  const [key, setKey] = useState('')
  const [model, setModel] = useState(provider.model ?? '')
  const save = useChangeProvider(provider.name)

  const change: ProviderChange = {
    ...(baseUrl.trim() !== (provider.base_url ?? '') && { base_url: baseUrl.trim() || null }),
    ...(key.trim() !== '' && { api_key: key.trim() }),
    ...(model.trim() !== (provider.model ?? '') && { model: model.trim() || null }),
  }
  const isChanged = Object.keys(change).length > 0

  const saveAll = async () => {
    if (isChanged) await save.mutateAsync(change)
    setKey('')
  }

  return (
    <form
      className="space-y-4 pt-4 pl-6"
      onSubmit={(event) => {
        event.preventDefault()
        void saveAll().catch(() => {})
      }}
    >
      {provider.takes_base_url && (
        <Field
          label="Base URL"
          value={baseUrl}
          onChange={setBaseUrl}
          type="url"
          placeholder="https://api.example.com/v1"
          note={provider.key_hint ? 'A new address forgets the stored key.' : undefined}
        />
      )}
      {(provider.needs_key || provider.takes_base_url || provider.key_hint !== null) && (
        <Field
          label={provider.needs_key ? 'API key' : 'API key, if it asks for one'}
          value={key}
          onChange={setKey}
          type="password"
          placeholder={provider.key_hint ? `••••${provider.key_hint.slice(-4)}` : 'none stored'}
          note={provider.key_hint ? 'A key is stored. Type another to replace it.' : undefined}
        >
          {provider.key_hint && (
            <Button onClick={() => save.mutate({ api_key: null })} disabled={save.isPending}>
              Forget
            </Button>
          )}
        </Field>
      )}
      <ConnectionTest provider={provider} model={model} onModel={setModel} beforeTest={saveAll} />
      <div className="flex items-center gap-3">
        <Button type="submit" weight="strong" disabled={!isChanged || save.isPending}>
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
        <span role="status" className="text-[0.9375rem] text-quiet">
          {save.isError && `Not saved. ${save.error.message}`}
          {save.isSuccess && !isChanged && 'Saved.'}
        </span>
      </div>
    </form>
  )
}
