/** How replies are made: between the fields that somebody fills in and what the server keeps. */
import type { Sampling } from '../api/types'

export interface Written {
  temperature: string
  top_p: string
  max_tokens: string
  longest_request: string
}

export type Problems = Partial<Record<keyof Written, string>>

export const AS_THE_PROVIDER_DECIDES: Sampling = {
  temperature: null,
  top_p: null,
  max_tokens: null,
  longest_request: null,
}

const NUMBER = /^\d+([.,]\d+)?$/

export function written(sampling: Sampling): Written {
  return {
    temperature: sampling.temperature?.toString() ?? '',
    top_p: sampling.top_p?.toString() ?? '',
    max_tokens: sampling.max_tokens?.toString() ?? '',
    longest_request: sampling.longest_request?.toString() ?? '',
  }
}

/** What was written, or what is wrong with it. Either decimal sign is taken. */
export function readSampling(fields: Written): { sampling: Sampling | null; problems: Problems } {
  const problems: Problems = {}
  const read = (name: keyof Written, isGood: (value: number) => boolean, told: string): number | null => {
    const text = fields[name].trim()
    if (text === '') return null
    const value = NUMBER.test(text) ? Number(text.replace(',', '.')) : Number.NaN
    if (isGood(value)) return value
    problems[name] = told
    return null
  }
  const sampling = {
    temperature: read('temperature', (value) => value <= 2, 'A number from 0 to 2, such as 0.8.'),
    top_p: read('top_p', (value) => value > 0 && value <= 1, 'A number above 0, up to 1, such as 0.9.'),
    max_tokens: read(
      'max_tokens',
      (value) => Number.isInteger(value) && value >= 1 && value <= 1_000_000,
      'A whole number of tokens, such as 500.',
    ),
    longest_request: read(
      'longest_request',
      (value) => Number.isInteger(value) && value >= 256 && value <= 100_000_000,
      'A whole number of tokens, 256 or more, such as 16000.',
    ),
  }
  return { sampling: Object.keys(problems).length === 0 ? sampling : null, problems }
}

/** What is set, in few words; null where all is as the provider decides. */
export function toldSampling(sampling: Sampling): string | null {
  const told = [
    sampling.temperature !== null && `temperature ${sampling.temperature}`,
    sampling.top_p !== null && `top-p ${sampling.top_p}`,
    sampling.max_tokens !== null && `at most ${sampling.max_tokens.toLocaleString('en')} tokens`,
    sampling.longest_request !== null &&
      `requests up to ${sampling.longest_request.toLocaleString('en')} tokens`,
  ].filter(Boolean)
  return told.length === 0 ? null : told.join(' · ')
}
