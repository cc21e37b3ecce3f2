import { type RefObject, useState } from 'react'
import type { Sampling } from '../api/types'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Flyout } from '../ui/Flyout'
import { AS_THE_PROVIDER_DECIDES, type Problems, readSampling, type Written, written } from './sampling'

interface ReplySettingsProps {
  /** What it opens beside. */
  anchor: RefObject<HTMLButtonElement | null>
  sampling: Sampling
  onChange: (sampling: Sampling) => void
  onClose: () => void
}

/** How replies are made in this conversation; what is left empty is as the provider decides. */
export function ReplySettings({ anchor, sampling, onChange, onClose }: ReplySettingsProps) {
  const [fields, setFields] = useState<Written>(written(sampling))
  const [problems, setProblems] = useState<Problems>({})
  const isDefault = Object.values(fields).every((each) => each.trim() === '')

  const field = (
    name: keyof Written,
    label: string,
    note: string,
    placeholder = 'as the provider decides',
  ) => (
    <Field
      label={label}
      value={fields[name]}
      onChange={(value) => setFields({ ...fields, [name]: value })}
      placeholder={placeholder}
      note={problems[name] ?? note}
    />
  )

  return (
    <Flyout
      anchor={anchor}
      label="Reply settings"
      onClose={onClose}
      className="max-h-[80vh] w-80 overflow-y-auto p-4"
    >
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          const read = readSampling(fields)
          setProblems(read.problems)
          if (read.sampling === null) return
          onChange(read.sampling)
          onClose()
        }}
      >
        <fieldset className="space-y-3">
          <legend className="mb-1.5 font-semibold">How replies are made in this conversation</legend>
          {field('temperature', 'Temperature', '0 to 2: low is steady, high is wild.')}
          {field('top_p', 'Top-p', 'Above 0, up to 1: how rare a word may be. Change this or the above.')}
          {field('max_tokens', 'Longest reply', 'In tokens: 300 are about two paragraphs.')}
          {field(
            'longest_request',
            'Longest request',
            'In tokens: how much of the talk the AI is told each time. The last ten messages always go in as far as its window holds them.',
            'as the server is set',
          )}
        </fieldset>
        <p role="alert" className="mt-2 text-note text-accent empty:hidden">
          {Object.keys(problems).length > 0 ? 'Not kept: see what is said below the fields.' : ''}
        </p>
        <div className="mt-3 flex flex-wrap justify-end gap-2">
          <Button
            disabled={isDefault}
            onClick={() => {
              setFields(written(AS_THE_PROVIDER_DECIDES))
              setProblems({})
            }}
          >
            As the provider decides
          </Button>
          <Button type="submit" weight="strong">
            Keep
          </Button>
        </div>
      </form>
    </Flyout>
  )
}
