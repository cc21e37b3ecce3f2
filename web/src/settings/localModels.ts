/** Words for a model of the server's own machine. */
import type { LocalModel, LocalModels } from '../api/types'
import { sized } from '../ui/amounts'

const FITS = { well: 'runs well here', tight: 'tight here', too_large: 'too large for this machine' }

export function factsOfModel(model: LocalModel): string[] {
  const { size, memory, fit, licence, parameters, checked, state, is_built_in } = model
  const isUnknown = state === 'kept' && checked === null && !is_built_in
  return [
    ...(parameters ? [parameters] : []),
    ...(size ? [sized(size)] : []),
    ...(memory ? [`needs ${sized(memory)} of memory`] : []),
    ...(fit ? [FITS[fit]] : []),
    ...(licence ? [licence] : []),
    ...(isUnknown ? ['not compared with a SHA-256'] : []),
  ]
}

/** How far the adding has come, in words; null where nothing is being added. */
export function progressOf({ state, done, size }: LocalModel): string | null {
  const share = size ? `${Math.floor((100 * done) / size)} %` : sized(done)
  switch (state) {
    case 'waiting':
      return 'Waiting for the download before it'
    case 'downloading':
      return size ? `Downloading: ${share}, ${sized(done)} of ${sized(size)}` : `Downloading: ${share}`
    case 'checking':
      return `Checking: ${share}`
    case 'trying':
      return 'Trying whether it runs'
    case 'stopped':
      return `Stopped: ${share} is here`
    default:
      return null
  }
}

/** What is added again to go on: a model of the list by its name, another by its address. */
export function sourceOf({ name, address, is_listed }: LocalModel): string {
  return is_listed || address === null ? name : address.replace(/^file:/, '')
}

export function machineOf({ memory, free_memory, free_disk }: LocalModels): string {
  const free = free_memory === null ? '' : `, ${sized(free_memory)} of it free`
  const disk = free_disk === null ? '' : `, and ${sized(free_disk)} of free disk`
  return `The server's machine has ${sized(memory)} of memory${free}${disk}.`
}
