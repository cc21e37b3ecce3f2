import { useState } from 'react'
import type { Provider, ProviderChange } from '../api/types'
import { useChangeProvider } from '../providers/queries'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { mendedAddress } from './address'
import { ConnectionTest } from './ConnectionTest'

export function ProviderForm({ provider }: { provider: Provider }) {
  const [baseUrl, setBaseUrl] = useState(provider.base_url ?? '')
  const [key, setKey] = useState('')
  const [model, setModel] = useState(provider.model ?? '')
  const [typedUrl, setTypedUrl] = useState<string | null>(null)
  const save = useChangeProvider(provider.name)

  /** The address as it will be stored, which the reader is told where it is not what was typed. */
  const mend = () => {
    const mended = mendedAddress(baseUrl)
    if (mended !== baseUrl.trim()) setTypedUrl(baseUrl.trim())
    setBaseUrl(mended)
  }

  const address = mendedAddress(baseUrl)
  const change: ProviderChange = {
    ...(address !== (provider.base_url ?? '') && { base_url: address || null }),
    ...(key.trim() !== '' && { api_key: key.trim() }),
    ...(model.trim() !== (provider.model ?? '') && { model: model.trim() || null }),
  }
  const isChanged = Object.keys(change).length > 0

  const saveAll = async () => {
    mend()
    if (isChanged) {
      const saved = await save.mutateAsync(change)
      setBaseUrl(saved.base_url ?? '')
    }
    setKey('')
  }

  return (
    <form
      className="space-y-4 pt-4 pl-6"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void saveAll().catch(() => {})
      }}
    >
      {provider.takes_base_url && (
        <Field
          label="Base URL"
          value={baseUrl}
          onChange={(value) => {
            setBaseUrl(value)
            setTypedUrl(null)
          }}
          onBlur={mend}
          type="url"
          placeholder="https://api.example.com/v1"
          note={
            [
              typedUrl !== null && `Mended: you typed ${typedUrl}.`,
              provider.key_hint !== null && 'A new address forgets the stored key.',
            ]
              .filter(Boolean)
              .join(' ') || undefined
          }
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
        <span role="status" className="text-label text-quiet">
          {save.isError && `Not saved. ${save.error.message}`}
          {save.isSuccess && !isChanged && 'Saved.'}
        </span>
      </div>
    </form>
  )
}
