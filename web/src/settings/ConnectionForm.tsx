import { useState } from 'react'
import type { Connection, ConnectionChange } from '../api/types'
import { useChangeConnection } from '../connections/queries'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { mendedAddress } from './address'
import { ConnectionTest } from './ConnectionTest'
import { RemoveConnection } from './RemoveConnection'
import { readTokens } from './tokenCount'

const written = (count: number | null) => (count === null ? '' : count.toLocaleString('en'))
const NO_COUNT = 'A whole number from 256 to 100,000,000.'

export function ConnectionForm({ connection }: { connection: Connection }) {
  const [name, setName] = useState(connection.name)
  const [baseUrl, setBaseUrl] = useState(connection.base_url ?? '')
  const [key, setKey] = useState('')
  const [model, setModel] = useState(connection.model ?? '')
  const [window, setWindow] = useState(written(connection.context_length))
  const [longest, setLongest] = useState(written(connection.longest_request))
  const [typedUrl, setTypedUrl] = useState<string | null>(null)
  const save = useChangeConnection(connection.id)

  /** The address as it will be stored, which the reader is told where it is not what was typed. */
  const mend = () => {
    const mended = mendedAddress(baseUrl)
    if (mended !== baseUrl.trim()) setTypedUrl(baseUrl.trim())
    setBaseUrl(mended)
  }

  const address = mendedAddress(baseUrl)
  const windowTokens = readTokens(window)
  const longestTokens = readTokens(longest)
  const change: ConnectionChange = {
    ...(name.trim() !== connection.name && { name: name.trim() }),
    ...(address !== (connection.base_url ?? '') && { base_url: address || null }),
    ...(key.trim() !== '' && { api_key: key.trim() }),
    ...(model.trim() !== (connection.model ?? '') && { model: model.trim() || null }),
    ...(windowTokens !== undefined &&
      windowTokens !== connection.context_length && { context_length: windowTokens }),
    ...(longestTokens !== undefined &&
      longestTokens !== connection.longest_request && { longest_request: longestTokens }),
  }
  const isChanged = Object.keys(change).length > 0
  const isReadable = windowTokens !== undefined && longestTokens !== undefined && name.trim() !== ''

  const saveAll = async () => {
    mend()
    if (isChanged) {
      const saved = await save.mutateAsync(change)
      setName(saved.name)
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
      <Field label="Name" value={name} onChange={setName} />
      {connection.servers ? (
        <p className="text-label text-quiet">
          Its address and its key come from the server’s settings. What you set here holds for you alone.
        </p>
      ) : (
        <>
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
                connection.key_hint !== null && 'A new address forgets the stored key.',
              ]
                .filter(Boolean)
                .join(' ') || undefined
            }
          />
          <Field
            label={connection.needs_key ? 'API key' : 'API key, if it asks for one'}
            value={key}
            onChange={setKey}
            type="password"
            placeholder={
              connection.key_hint !== null ? `••••${connection.key_hint.slice(-4)}` : 'none stored'
            }
            note={connection.key_hint !== null ? 'A key is stored. Type another to replace it.' : undefined}
          >
            {connection.key_hint !== null && (
              <Button onClick={() => save.mutate({ api_key: null })} disabled={save.isPending}>
                Forget
              </Button>
            )}
          </Field>
        </>
      )}
      <ConnectionTest connection={connection} model={model} onModel={setModel} beforeTest={saveAll} />
      <Field
        label="Window of the model, in tokens"
        value={window}
        onChange={setWindow}
        placeholder="as the model is known"
        note={windowTokens === undefined ? NO_COUNT : 'How much the model holds, where it is known to you.'}
      />
      <Field
        label="Longest request, in tokens"
        value={longest}
        onChange={setLongest}
        placeholder="as the server is set"
        note={
          longestTokens === undefined
            ? NO_COUNT
            : 'How much of the talk is sent each time. A conversation may have its own.'
        }
      />
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" weight="strong" disabled={!isChanged || !isReadable || save.isPending}>
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
        {!connection.servers && <RemoveConnection connection={connection} />}
        <span role="status" className="text-label text-quiet">
          {save.isError && `Not saved. ${save.error.message}`}
          {save.isSuccess && !isChanged && 'Saved.'}
        </span>
      </div>
    </form>
  )
}
